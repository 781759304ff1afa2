//! People who sign in, and what they decide before a browser.

use std::collections::{HashMap, VecDeque};

use super::{Authority, token};

/// Somebody with an account in the tenant.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name to sign in with.
    pub upn: String,
    /// The name for people.
    pub name: String,
    /// The number that stays, whatever the names become.
    pub oid: String,
    /// The home tenant's number, where it is not that of the app.
    pub tid: Option<String>,
    /// What signs in by the password grant.
    pub password: Option<String>,
    /// A password alone does not do: AADSTS50076.
    pub needs_mfa: bool,
}

impl Person {
    /// Somebody who signs in before a browser only.
    pub fn new(upn: &str) -> Self {
        Self {
            upn: upn.to_owned(),
            name: upn.split('@').next().unwrap_or_default().to_owned(),
            oid: token::number_of(&format!("person {}", upn.to_lowercase())),
            tid: None,
            password: None,
            needs_mfa: false,
        }
    }

    /// Lets a password do.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Asks for more than a password.
    #[must_use]
    pub fn mfa(mut self) -> Self {
        self.needs_mfa = true;
        self
    }
}

/// The directory, and what people do next.
#[derive(Default)]
pub(super) struct People {
    known: HashMap<String, Person>,
    pub(super) decisions: VecDeque<Decision>,
}

/// What becomes of an authorization request.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    SignsIn(String),
    Declines,
    Fails(u64),
}

impl People {
    /// Somebody who is in the directory.
    pub(super) fn known(&self, upn: &str) -> Option<Person> {
        self.known.get(&upn.to_lowercase()).cloned()
    }

    /// Somebody, who is added to the directory where they are not in it.
    pub(super) fn person(&mut self, upn: &str) -> Person {
        self.known.entry(upn.to_lowercase()).or_insert_with(|| Person::new(upn)).clone()
    }
}

impl Authority {
    /// Puts somebody into the directory, in the place of who has the same name.
    pub fn add_person(&self, person: Person) {
        self.shared.people.lock().unwrap().known.insert(person.upn.to_lowercase(), person);
    }

    /// Takes somebody out of the directory.
    pub fn remove_person(&self, upn: &str) {
        self.shared.people.lock().unwrap().known.remove(&upn.to_lowercase());
    }

    /// Who signs in at the next authorization request for which nothing was said yet, whatever its
    /// `login_hint`. Without a word it is whom the `login_hint` names.
    pub fn signs_in(&self, upn: &str) {
        self.decide(Decision::SignsIn(upn.to_owned()));
    }

    /// The next one declines to consent.
    pub fn declines(&self) {
        self.decide(Decision::Declines);
    }

    /// The next one is sent back with an AADSTS code: 90094 where an administrator has to consent.
    pub fn sign_in_fails(&self, code: u64) {
        self.decide(Decision::Fails(code));
    }

    fn decide(&self, decision: Decision) {
        self.shared.people.lock().unwrap().decisions.push_back(decision);
    }
}
