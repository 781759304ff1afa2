//! What the console shows and has done for it.

use std::time::SystemTime;

use crate::{failure::Explanation, ids::AppName};

/// The house behind the console.
pub trait Desk: Send + Sync + 'static {
    /// Whether clients are let in.
    fn is_ready(&self) -> bool;

    /// How things are.
    fn overview(&self) -> Overview;

    /// When the secret or certificate of each app ends, as far as that is known.
    fn credential_ends(&self) -> Vec<(AppName, SystemTime)>;

    /// Begins the consent for an account, by device code or in the browser.
    ///
    /// # Errors
    /// Why there can be none.
    fn begin(&self, login: &str, device: bool) -> impl Future<Output = Result<Begun, Explanation>> + Send;

    /// How the consent has ended, if it has.
    ///
    /// # Errors
    /// Where no such consent was begun.
    fn ended(&self, id: &str) -> impl Future<Output = Result<Option<Ended>, Explanation>> + Send;
}

/// How things are.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Every account, in its order.
    pub accounts: Vec<Row>,
    /// Credentials that end soon.
    pub warnings: Vec<Explanation>,
}

/// One account, in words.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The login that it is named by.
    pub login: String,
    /// The mailbox that it opens.
    pub mailbox: String,
    /// The app registration.
    pub app: String,
    /// The grant.
    pub grant: String,
    /// How its token is.
    pub state: String,
    /// Whether somebody has to do something about that.
    pub is_well: bool,
    /// Why it is not well.
    pub trouble: Option<String>,
    /// When its token expires.
    pub expires: Option<String>,
    /// When somebody last reached the mailbox.
    pub last_login: Option<String>,
    /// What the last login came to that did not.
    pub last_failure: Option<Failed>,
    /// How a person may consent for it.
    pub consent: Option<Ways>,
}

/// A login that did not reach the mailbox.
#[derive(Debug, Clone)]
pub struct Failed {
    /// When.
    pub when: String,
    /// Why, and what to do.
    pub why: Explanation,
}

/// How a person may consent for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// In the browser or by a device code.
    Both,
    /// By a device code.
    Device,
}

impl Ways {
    /// Whether the browser is one of them.
    #[must_use]
    pub fn has_browser(self) -> bool {
        self == Self::Both
    }
}

/// A consent that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// What its outcome is asked for by.
    pub id: String,
    /// The account.
    pub login: String,
    /// As whom to sign in, in one or several spellings.
    pub sign_in: Vec<String>,
    /// How.
    pub way: Way,
}

/// What a person has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Go to the authority, and come back.
    Browser {
        /// The authority's address.
        url: String,
        /// Where the browser comes back to.
        redirect_uri: String,
    },
    /// Enter a code anywhere.
    Device {
        /// The code.
        user_code: String,
        /// Where it is entered.
        verification_uri: String,
        /// The same with the code in it, where the authority has one.
        complete_uri: Option<String>,
    },
}

/// How a consent has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is stored.
    Done {
        /// Who signed in, where the authority says so.
        signed_in: Option<String>,
    },
    /// Nothing is stored.
    Failed(Explanation),
}
