//! The whole table, entry by entry, each by the way on which a login meets it.

use std::collections::HashSet;

use super::{
    authority::{self, ErrorBody, Flow},
    claims, network, table,
    upstream::{self, Asked},
    *,
};
use crate::failure::{Explanation, Failure, LONGEST_LINE, Refusal};

/// Of forty characters.
const MAILBOX: &str = "ann.ottilie.long@accounts.contoso.com.xx";

/// A host of thirty characters, and its port.
const ENDPOINT: &str = "imap.mail.accounts.contoso.com:993";

const ASKED: Asked<'_> = Asked { endpoint: ENDPOINT, mailbox: MAILBOX, is_delegated: false };

/// Of twenty characters.
const APP: &str = "contoso-mail-printer";

/// The flows in which an entry is met.
fn flows(met: Met) -> &'static [Flow] {
    match met {
        Met::Authority => &Flow::ALL,
        Met::AuthorityToApp => &[Flow::ClientCredentials],
        Met::AuthorityToPerson => &[Flow::Refresh, Flow::Code, Flow::Device],
        Met::AuthorityToPassword => &[Flow::Password],
        Met::AuthorityToService => &[Flow::ServiceAccount],
        Met::Token | Met::Network | Met::Login | Met::Session => &[],
    }
}

fn answer(entry: &Entry) -> ErrorBody {
    let (error, error_codes) = match entry.sign {
        Sign::Number(number) => ("invalid_request", vec![number]),
        Sign::Error(error, _) => (error, Vec::new()),
        Sign::Begins(_) | Sign::Says(_) | Sign::BeginsAndSays(..) | Sign::Claim(_) => {
            panic!("{entry:?} is no answer of an authority")
        }
    };
    let error_description = Some(entry.sample.to_owned()).filter(|sample| !sample.is_empty());
    ErrorBody { error: error.to_owned(), error_codes, error_description, ..ErrorBody::default() }
}

/// What a login is told by way of an entry's own sample.
fn told(entry: &Entry) -> Vec<Explanation> {
    let unwrapped = |refusal: Refusal| refusal.explanation.unwrap();
    match entry.met {
        Met::Token => Vec::new(),
        Met::Network => vec![unwrapped(upstream::unreachable(entry.sample, Failure::UpstreamUnavailable))],
        Met::Login => {
            let is_greeting = ["220", "* OK", "+OK"].iter().any(|words| entry.sample.starts_with(words));
            let failure = if is_greeting { Failure::UpstreamViolation } else { Failure::UpstreamRefused };
            let by_people = Asked { is_delegated: true, ..ASKED };
            [ASKED, by_people]
                .map(|asked| unwrapped(upstream::rejected(asked, failure, entry.sample).refusal))
                .into()
        }
        Met::Session => vec![upstream::declined(ENDPOINT, "open INBOX", entry.sample, None)],
        Met::Authority
        | Met::AuthorityToApp
        | Met::AuthorityToPerson
        | Met::AuthorityToPassword
        | Met::AuthorityToService => {
            let body = answer(entry);
            // Where people are asked first, the same number has another entry for them.
            let own = flows(entry.met).iter().filter(|&&flow| authority::entry(flow, &body) == Some(entry));
            own.map(|&flow| authority::explained(flow, APP, Some(MAILBOX), &body)).collect()
        }
    }
}

#[test]
fn every_entry_is_what_its_own_sample_is_explained_by() {
    for entry in table() {
        let found = match entry.met {
            Met::Token => Some(entry),
            Met::Network => network::of(entry.sample),
            Met::Login => upstream::of_login(entry.sample),
            Met::Session => upstream::afterwards(entry.sample),
            Met::Authority
            | Met::AuthorityToApp
            | Met::AuthorityToPerson
            | Met::AuthorityToPassword
            | Met::AuthorityToService => {
                let body = answer(entry);
                let mut found = flows(entry.met).iter().filter_map(|&flow| authority::entry(flow, &body));
                found.find(|found| found == &entry)
            }
        };
        assert_eq!(found, Some(entry), "another entry answers its sample");
    }
}

#[test]
fn every_text_is_one_line_of_ascii_that_is_whole_and_says_what_to_do() {
    let mut unfit = Vec::new();
    for entry in table() {
        assert!(!entry.cause.is_empty() && !entry.cure.is_empty() && !entry.source.is_empty(), "{entry:?}");
        let texts = told(entry);
        assert!(!texts.is_empty() || entry.met == Met::Token, "{entry:?} is told nowhere");
        for told in texts {
            // The reply to a command is quoted for `doctor`, which cuts nothing.
            let quote = format!("{} (", upstream::scrubbed(entry.sample));
            let unquoted =
                if entry.met == Met::Session { told.cause.replace(&quote, "(") } else { told.cause };
            let told = Explanation { cause: unquoted, ..told };
            let (line, whole) = (told.line(), format!("{}: {}", told.cause, told.cure));
            let is_ascii = whole.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let cures = [Some(entry.cure), entry.cure_for_people]
                .map(|cure| cure.map(|cure| cure.replace("LOGIN", MAILBOX)));
            if line != whole || !is_ascii || !cures.iter().flatten().any(|cure| line.ends_with(cure)) {
                unfit.push(format!("{} of {LONGEST_LINE} characters: {whole}", whole.len()));
            }
            let blame = told.blame.expect("a known trouble has somebody to act");
            assert_eq!((blame.fault, blame.passes), (entry.fault, entry.passes), "{entry:?}");
        }
    }
    assert!(unfit.is_empty(), "{unfit:#?}");
}

#[test]
fn every_name_and_every_sign_is_there_once_in_its_place() {
    let mut names = HashSet::new();
    let mut signs = Vec::new();
    for entry in table() {
        let name = entry.code().unwrap_or_else(|| entry.name.to_owned());
        assert!(names.insert((entry.met, name)), "{entry:?}");
        let sign = (entry.met, entry.sign);
        assert!(!signs.contains(&sign), "{entry:?}");
        signs.push(sign);
    }
}

#[test]
fn what_passes_is_nobodys_to_change() {
    for entry in table().filter(|entry| entry.passes) {
        let fixed = entry.cure.contains("Set-") || entry.cure.contains("footbridge authorize");
        assert!(!fixed, "{entry:?}");
    }
}

#[test]
fn the_claims_that_are_explained_are_those_of_the_table() {
    assert_eq!(
        claims::TABLE.map(|entry| entry.name),
        ["graph_audience", "full_access_as_app", "role_missing", "scope_missing"]
    );
}

#[test]
fn a_refusal_names_who_acts_by_what_is_known_else_by_its_kind() {
    let disabled =
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    let known = upstream::rejected(ASKED, Failure::UpstreamRefused, disabled).refusal;
    assert_eq!((known.fault().name(), known.may_pass()), ("administrator", false));
    let unknown = upstream::rejected(ASKED, Failure::UpstreamRefused, "NO what").refusal;
    assert_eq!((unknown.fault().name(), unknown.may_pass()), ("operator", false));
    let busy = "NO [ALERT] Too many simultaneous connections. (Failure)";
    let busy = upstream::rejected(ASKED, Failure::UpstreamRefused, busy);
    assert_eq!(busy.refusal.failure, Failure::UpstreamUnavailable);
    assert!(busy.refusal.may_pass() && !busy.try_again && !busy.token_may_help);
}
