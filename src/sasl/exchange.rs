//! PLAIN and LOGIN from the client's side: lines of base64 in, credentials out.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::{Credentials, text};

/// Base64 whose padding may be missing: clients do send it so.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The LOGIN prompts, `Username:` and `Password:`. Clients compare them to the letter.
const USERNAME: &str = "VXNlcm5hbWU6";
const PASSWORD: &str = "UGFzc3dvcmQ6";

/// A mechanism by which a client may show its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMechanism {
    /// RFC 4616.
    Plain,
    /// The two prompts of draft-murchison-sasl-login-00.
    Login,
}

impl ClientMechanism {
    /// Recognises a mechanism's name, in any case; `None` for every other mechanism.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"PLAIN") {
            Some(Self::Plain)
        } else if name.eq_ignore_ascii_case(b"LOGIN") {
            Some(Self::Login)
        } else {
            None
        }
    }
}

/// One exchange of challenges and responses.
#[derive(Debug)]
pub struct Exchange(Await);

#[derive(Debug)]
enum Await {
    Plain,
    Username,
    Password { username: Vec<u8> },
}

/// What follows from a client's response.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Send this base64 as a challenge and wait for the next response.
    Challenge(&'static str),
    /// The client has shown credentials.
    Credentials(Credentials),
    /// The client gave up with `*` (RFC 4954 §4, RFC 3501 §6.2.2).
    Cancelled,
    /// No base64, or not what the mechanism asks for.
    Malformed,
}

impl Exchange {
    /// Begins an exchange with the initial response, if the command had one; returns beside it what follows.
    #[must_use]
    pub fn begin(mechanism: ClientMechanism, initial: Option<&[u8]>) -> (Self, Turn) {
        let (mut exchange, challenge) = Self::start(mechanism);
        let turn = initial.map_or(Turn::Challenge(challenge), |initial| exchange.respond(initial));
        (exchange, turn)
    }

    /// Starts an exchange; returns the first challenge beside it, empty for PLAIN.
    fn start(mechanism: ClientMechanism) -> (Self, &'static str) {
        match mechanism {
            ClientMechanism::Plain => (Self(Await::Plain), ""),
            ClientMechanism::Login => (Self(Await::Username), USERNAME),
        }
    }

    /// Takes one response: a line without its line end, or the initial response of the command.
    ///
    /// White space around the base64 is forgiven, and `=` is an empty response (RFC 4954 §4).
    #[must_use]
    pub fn respond(&mut self, response: &[u8]) -> Turn {
        let response = response.trim_ascii();
        if response == b"*" {
            return Turn::Cancelled;
        }
        let decoded = if response == b"=" { Ok(Vec::new()) } else { LENIENT.decode(response) };
        let Ok(decoded) = decoded.map(Zeroizing::new) else {
            return Turn::Malformed;
        };
        match &mut self.0 {
            Await::Plain => plain(&decoded),
            Await::Username => {
                self.0 = Await::Password { username: decoded.to_vec() };
                Turn::Challenge(PASSWORD)
            }
            Await::Password { username } => Turn::Credentials(Credentials::new(username, decoded.to_vec())),
        }
    }
}

/// `message = [authzid] NUL authcid NUL passwd`, RFC 4616 §2.
fn plain(message: &[u8]) -> Turn {
    let mut parts = message.splitn(3, |&byte| byte == 0);
    let (Some(authzid), Some(username), Some(password)) = (parts.next(), parts.next(), parts.next()) else {
        return Turn::Malformed;
    };
    if username.is_empty() || password.contains(&0) {
        return Turn::Malformed;
    }
    Turn::Credentials(Credentials { authzid: text(authzid), ..Credentials::new(username, password) })
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn plain_turn(response: &[u8]) -> Turn {
        Exchange::start(ClientMechanism::Plain).0.respond(response)
    }

    fn shown(authzid: &str, username: &str, password: &str) -> Turn {
        let credentials = Credentials::new(username.as_bytes(), password);
        Turn::Credentials(Credentials { authzid: authzid.to_owned(), ..credentials })
    }

    #[test]
    fn plain_messages() {
        let cases: &[(&[u8], Turn)] = &[
            (b"AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=", shown("", "ann@example.com", "secret")),
            (b"AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ", shown("", "ann@example.com", "secret")), // no padding
            (b" AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ= ", shown("", "ann@example.com", "secret")),
            (b"YW5uAGFubgBz", shown("ann", "ann", "s")),
            (b"AGFubgA=", shown("", "ann", "")),
            (b"AGFubgBhAGI=", Turn::Malformed), // NUL in the password
            (b"YW5u", Turn::Malformed),
            (b"=", Turn::Malformed),
            (b"", Turn::Malformed),
            (b"not base64!", Turn::Malformed),
            (b"*", Turn::Cancelled),
        ];
        for (response, expected) in cases {
            assert_eq!(plain_turn(response), *expected, "{}", String::from_utf8_lossy(response));
        }
    }

    #[test]
    fn login_asks_for_the_username_and_then_for_the_password() {
        let (mut exchange, challenge) = Exchange::start(ClientMechanism::Login);
        assert_eq!(challenge, "VXNlcm5hbWU6");
        assert_eq!(exchange.respond(b"YW5u"), Turn::Challenge("UGFzc3dvcmQ6"));
        assert_eq!(exchange.respond(b"c2VjcmV0"), shown("", "ann", "secret"));
    }

    #[test]
    fn login_can_be_cancelled_at_either_prompt() {
        let (mut exchange, _) = Exchange::start(ClientMechanism::Login);
        assert_eq!(exchange.respond(b"*"), Turn::Cancelled);
        let (mut exchange, _) = Exchange::start(ClientMechanism::Login);
        assert_eq!(exchange.respond(b"YW5u"), Turn::Challenge("UGFzc3dvcmQ6"));
        assert_eq!(exchange.respond(b"*"), Turn::Cancelled);
    }

    #[test]
    fn a_username_in_latin_1_is_read_as_such_and_the_password_kept_as_it_came() {
        let response = BASE64_STANDARD.encode(b"\0J\xFCrgen\0p\xE4ss");
        let expected = Credentials::new("Jürgen".as_bytes(), b"p\xE4ss".to_vec());
        assert_eq!(plain_turn(response.as_bytes()), Turn::Credentials(expected));
    }

    proptest! {
        #[test]
        fn any_response_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = plain_turn(&bytes);
        }

        #[test]
        fn what_is_written_as_plain_is_read_back(username in "[^\0]+", password in "[^\0]*") {
            let response = BASE64_STANDARD.encode(format!("\0{username}\0{password}"));
            prop_assert_eq!(plain_turn(response.as_bytes()), shown("", &username, &password));
        }
    }
}
