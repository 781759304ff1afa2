//! An assertion that is refused because two clocks do not agree.

use super::ErrorBody;
use crate::{
    explain::entry::{Entry, Sign},
    failure::{Explanation, Fault},
};

/// Entra's numbers for an assertion that it does not take. One that is out of its time is among the causes of each.
const NUMBERS: [u64; 5] = [700_024, 700_027, 50_012, 50_013, 70_002];

/// Google's answers, likewise.
const NAMES: [&str; 2] = ["jwt_time", "jwt_signature"];

/// By how many seconds our clock is ahead, where that may be why an answer is what it is.
pub(super) fn skew(entry: &Entry, body: &ErrorBody) -> Option<i64> {
    let is_of_assertions = match entry.sign {
        Sign::Number(number) => NUMBERS.contains(&number),
        Sign::Error(..) => NAMES.contains(&entry.name),
        Sign::Begins(_) | Sign::Says(_) | Sign::BeginsAndSays(..) | Sign::Claim(_) => false,
    };
    body.clock_ahead.filter(|_| is_of_assertions)
}

/// The clock, whatever else the entry would have had to say.
pub(super) fn explained(cause: &str, ahead: i64) -> Explanation {
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    let cause = format!("{cause}; this clock is {} {side} the authority's", span(ahead.unsigned_abs()));
    Explanation::new(cause, "set this machine's clock (NTP)").blaming(Fault::Operator, false)
}

/// `12 min`.
fn span(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flow, body, explained};

    fn told(flow: Flow, error: &str, said: &str, codes: &[u64], ahead: i64) -> String {
        let mut body = body(error, said, codes);
        body.clock_ahead = Some(ahead);
        explained(flow, "contoso", None, &body).line()
    }

    #[test]
    fn an_assertion_that_is_refused_while_the_clocks_differ_is_blamed_on_ours() {
        let entra = |code, ahead| told(Flow::ClientCredentials, "invalid_client", "", &[code], ahead);
        let behind = entra(700_024, -900);
        assert_eq!(
            behind,
            "app contoso: the app's assertion is out of its time (AADSTS700024); this clock is 15 min behind the \
             authority's: set this machine's clock (NTP)"
        );
        assert!(entra(700_027, 10_000).contains("2 h ahead of the authority's"));
        assert!(entra(50_012, 400_000).contains("4 days ahead of"));
        assert!(!entra(7_000_222, 10_000).contains("clock"), "a secret has no clock");
        let said =
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
        assert!(told(Flow::ServiceAccount, "invalid_grant", said, &[], 3600).contains("60 min ahead of"));
    }
}
