//! What the numbers and words of authorities mean, and who has to do what about it.
//!
//! The same number may ask for different things: where an app logs in as itself, an administrator or
//! the operator acts; where a person has signed in, often that person. The entries for the flow are
//! asked first, then the others.

use super::{ErrorBody, Flow, google, operator, people};
use crate::{
    explain::entry::{Entry, Met, Sign},
    failure::Fault,
};

/// Where the numbers are from.
const NUMBERS: &str = "Microsoft, \"Microsoft Entra authentication and authorization error codes\"";

/// A number that an app hears which logs in as itself.
///
/// Causes are written to stand behind `app NAME:` and, but for the operator's, `account LOGIN:`.
pub(super) const fn of_app(number: u64, fault: Fault, cause: &'static str, cure: &'static str) -> Entry {
    Entry::new(Met::AuthorityToApp, Sign::Number(number), fault, cause, cure).by(NUMBERS)
}

/// A number that any flow can meet.
pub(super) const fn of_any(number: u64, fault: Fault, cause: &'static str, cure: &'static str) -> Entry {
    Entry::new(Met::Authority, Sign::Number(number), fault, cause, cure).by(NUMBERS)
}

/// A number that is about somebody who has signed in, or should.
pub(super) const fn of_person(number: u64, fault: Fault, cause: &'static str, cure: &'static str) -> Entry {
    Entry::new(Met::AuthorityToPerson, Sign::Number(number), fault, cause, cure).by(NUMBERS)
}

/// A number that a password can meet.
pub(super) const fn of_password(number: u64, fault: Fault, cause: &'static str, cure: &'static str) -> Entry {
    Entry::new(Met::AuthorityToPassword, Sign::Number(number), fault, cause, cure).by(NUMBERS)
}

/// Every entry of the authorities, in the order of the page for people.
pub(super) const TABLES: [&[Entry]; 5] =
    [operator::CODES, operator::AS_ITSELF, people::CODES, people::PASSWORD, google::WORDS];

/// The tables of numbers in the order in which a flow asks them.
fn tables(flow: Flow) -> [&'static [Entry]; 3] {
    match flow {
        Flow::ClientCredentials | Flow::ServiceAccount => {
            [operator::AS_ITSELF, operator::CODES, people::CODES]
        }
        Flow::Refresh | Flow::Code | Flow::Device => [people::CODES, operator::CODES, operator::AS_ITSELF],
        Flow::Password => [people::PASSWORD, people::CODES, operator::CODES],
    }
}

/// What is known of an answer, if anything is.
pub(super) fn of(flow: Flow, body: &ErrorBody) -> Option<&'static Entry> {
    let found = |code| tables(flow).into_iter().flatten().find(|entry| entry.sign == Sign::Number(code));
    // Of several numbers the one that says most: 70002 is a heading that stands before others.
    let by_code = body.codes().filter(|&code| code != HEADING).find_map(found);
    match by_code.or_else(|| body.codes().find_map(found)) {
        Some(entry) => Some(entry),
        None if body.code().is_none() => google::meaning(flow, body),
        None => None,
    }
}

/// "Error validating credentials": which, the number behind it tells.
const HEADING: u64 = 70_002;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{super::body, *};

    /// The numbers of a table.
    fn numbers(table: &'static [Entry]) -> impl Iterator<Item = (u64, &'static Entry)> {
        table.iter().map(|entry| match entry.sign {
            Sign::Number(number) => (number, entry),
            Sign::Error(..) | Sign::Begins(_) | Sign::Says(_) | Sign::BeginsAndSays(..) | Sign::Claim(_) => {
                panic!("{entry:?} has no number")
            }
        })
    }

    #[test]
    fn no_table_has_a_number_twice() {
        for table in [operator::AS_ITSELF, operator::CODES, people::CODES, people::PASSWORD] {
            let mut seen = HashSet::new();
            for (code, _) in numbers(table) {
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
            for (code, entry) in numbers(table) {
                assert_eq!(of(flow, &body("invalid_request", "", &[code])), Some(entry), "{code}");
            }
        }
    }

    #[test]
    fn a_cure_is_for_the_one_who_acts() {
        for (code, Entry { fault, cure, .. }) in numbers(people::CODES) {
            match fault {
                Fault::User => assert!(cure.contains("footbridge authorize LOGIN"), "{code}: {cure}"),
                Fault::Administrator => {
                    let names_place = cure.contains("administrator") || cure.contains("Entra");
                    assert!(names_place, "{code}: {cure}");
                }
                Fault::Client | Fault::Operator | Fault::Authority | Fault::Upstream | Fault::Bridge => {
                    panic!("{code} is no person's")
                }
            }
        }
        for (code, Entry { fault, cure, passes, .. }) in
            numbers(operator::AS_ITSELF).chain(numbers(operator::CODES))
        {
            assert!(*fault != Fault::User || *passes, "{code}");
            assert!(!cure.contains("LOGIN"), "{code}");
        }
    }

    #[test]
    fn a_heading_does_not_hide_the_number_behind_it() {
        let known = |codes: &[u64]| of(Flow::ClientCredentials, &body("invalid_client", "", codes)).unwrap();
        assert_eq!(known(&[70_002, 50_012]).sign, Sign::Number(50_012));
        assert_eq!(known(&[70_002]).sign, Sign::Number(70_002));
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
