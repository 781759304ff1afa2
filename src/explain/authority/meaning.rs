//! What the numbers and words of authorities mean, and who has to do what about it.
//!
//! The same number may ask for different things: where an app logs in as itself, an administrator or
//! the operator acts; where a person has signed in, often that person. The table for the flow is
//! asked first, then the others.

use super::{ErrorBody, Flow, google, operator, people};

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// The person whose mailbox it is.
    User,
    /// Whoever administers the tenant or the Workspace.
    Admin,
    /// Whoever keeps the bridge's configuration and the app registration.
    Operator,
    /// Nobody: it passes.
    Nobody,
}

/// A number of Entra's, who acts, what it means, and what to do.
///
/// Causes are written to stand behind `app NAME:` and, but for the operator's, `account LOGIN:`; in a
/// cure, `LOGIN` stands for the login.
pub(super) type Entry = (u64, Who, &'static str, &'static str);

/// What an answer means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning {
    pub(super) who: Who,
    pub(super) cause: &'static str,
    pub(super) cure: &'static str,
    /// The number by which it was found.
    pub(super) code: Option<u64>,
}

/// The tables in the order in which a flow asks them.
fn tables(flow: Flow) -> [&'static [Entry]; 3] {
    match flow {
        Flow::ClientCredentials | Flow::ServiceAccount => {
            [operator::AS_ITSELF, operator::CODES, people::CODES]
        }
        Flow::Refresh | Flow::Code | Flow::Device => [people::CODES, operator::CODES, operator::AS_ITSELF],
        Flow::Password => [people::PASSWORD, people::CODES, operator::CODES],
    }
}

/// The meaning of an answer, if it is known.
pub(super) fn of(flow: Flow, body: &ErrorBody) -> Option<Meaning> {
    let found = |code| tables(flow).into_iter().flatten().find(|(number, ..)| *number == code);
    let by_code = body.codes().find_map(found);
    match by_code {
        Some(&(code, who, cause, cure)) => Some(Meaning { who, cause, cure, code: Some(code) }),
        None if body.code().is_none() => google::meaning(flow, body),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{super::body, *};
    use crate::{explain::authority::explained, failure::LONGEST_LINE};

    /// Every number of the tables.
    fn numbers() -> Vec<u64> {
        let tables = [operator::AS_ITSELF, operator::CODES, people::CODES, people::PASSWORD];
        tables.into_iter().flatten().map(|(code, ..)| *code).collect()
    }

    #[test]
    fn every_entry_fits_on_one_line_whole() {
        let app = "a".repeat(20);
        for login in [None, Some("ann.ottilie@accounts.contoso.com")] {
            for flow in Flow::ALL {
                for code in numbers() {
                    let Some(known) = of(flow, &body("invalid_grant", "", &[code])) else { continue };
                    let line = explained(flow, &app, login, &body("invalid_grant", "", &[code])).line();
                    assert!(line.contains(known.cause) && line.len() <= LONGEST_LINE, "{line}");
                    assert!(line.contains(&format!("(AADSTS{code})")), "{line}");
                    assert!(line.ends_with(&known.cure.replace("LOGIN", login.unwrap_or("LOGIN"))), "{line}");
                }
            }
        }
    }

    #[test]
    fn no_table_has_a_number_twice() {
        for table in [operator::AS_ITSELF, operator::CODES, people::CODES, people::PASSWORD] {
            let mut seen = HashSet::new();
            for (code, ..) in table {
                assert!(seen.insert(code), "{code}");
            }
        }
    }

    #[test]
    fn every_number_is_found_by_a_flow_that_can_meet_it() {
        for (flow, table) in [
            (Flow::ClientCredentials, operator::AS_ITSELF),
            (Flow::Refresh, operator::CODES),
            (Flow::Refresh, people::CODES),
            (Flow::Password, people::PASSWORD),
        ] {
            for (code, ..) in table {
                assert!(of(flow, &body("invalid_request", "", &[*code])).is_some(), "{code}");
            }
        }
    }

    #[test]
    fn a_cure_is_for_the_one_who_acts() {
        for (code, who, _, cure) in people::CODES {
            match who {
                Who::User => assert!(cure.contains("footbridge authorize LOGIN"), "{code}: {cure}"),
                Who::Admin => {
                    let names_place = cure.contains("administrator") || cure.contains("Entra");
                    assert!(names_place, "{code}: {cure}");
                }
                Who::Operator | Who::Nobody => panic!("{code} is no person's"),
            }
        }
        for (code, who, _, cure) in operator::AS_ITSELF.iter().chain(operator::CODES) {
            assert_ne!(*who, Who::User, "{code}");
            assert!(!cure.contains("LOGIN"), "{code}");
        }
    }

    #[test]
    fn the_same_number_asks_an_app_and_a_person_for_different_things() {
        let cure = |flow, code| of(flow, &body("invalid_grant", "", &[code])).unwrap().cure;
        for code in [65_001, 50_076] {
            let cures =
                [cure(Flow::ClientCredentials, code), cure(Flow::Refresh, code), cure(Flow::Password, code)];
            assert!(cures[1].contains("footbridge authorize"), "{cures:?}");
        }
        assert!(!cure(Flow::ClientCredentials, 65_001).contains("authorize"));
        let password = cure(Flow::Password, 50_076);
        assert!(password.contains("authorization_code") && password.contains("device_code"), "{password}");
    }
}
