//! How the response is shown, access token and all.

use bytes::BytesMut;

use super::{UpstreamLogin, put};

impl UpstreamLogin {
    /// Writes the line that begins the exchange: `command`, and the mechanism's name behind it.
    ///
    /// The response goes along, which saves a round trip, where the line then has at most `longest` octets with its
    /// end: an initial response that makes a command longer than a command may be is forbidden (RFC 4954 §4, RFC 5034
    /// §4). Returns whether it went along; if not, it is asked for.
    #[must_use]
    pub fn authenticate(&self, command: &str, longest: usize, out: &mut BytesMut) -> bool {
        let mechanism = self.mechanism.name();
        let response = self.response.expose();
        let goes_along = command.len() + mechanism.len() + response.len() + "  \r\n".len() <= longest;
        for part in [command, " ", mechanism] {
            out.extend_from_slice(part.as_bytes());
        }
        if goes_along {
            out.extend_from_slice(b" ");
            out.extend_from_slice(response);
        }
        put(out, &[]);
        goes_along
    }

    /// Writes the response as a line of its own.
    pub fn respond(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.response.expose());
        put(out, &[]);
    }
}
