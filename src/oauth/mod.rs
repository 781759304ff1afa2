//! The clockwork: access tokens, one per slot, however many logins want them.
//!
//! [`Tokens::access_token`] hands out the token that a
//! [`Permit`](crate::policy::Permit) entitles to, [`Tokens::renew`]
//! another one where an upstream has rejected that. A slot is what
//! several logins share: the app, or the person who has consented (`slot`). `state` holds the rules,
//! `keeper` the tasks, `attempt` what comes before what on the disk and on the wire, `consent` what a
//! person does, `grant` and `reply` the words, `endpoint` the wire.

mod app;
mod attempt;
mod consent;
mod credential;
mod endpoint;
mod grant;
mod holder;
mod identity;
mod judged;
mod keeper;
mod reply;
mod request;
mod slot;
mod state;
mod status;

pub use app::{App, Authority, Consent, Pkce, Redirect};
pub use consent::{Consented, Consenting, DeviceConsenting, Landing, Outcome};
pub use credential::{
    AssertionAlgorithm, Certificate, ClientCertificate, Credential, CredentialError, Found, KeyFileError,
    LARGEST, Occasion, Part, Proof, Refusal, ServiceAccountError, ServiceAccountKey, Unsigned,
    client_assertion, day, read_federated_token, service_account_assertion,
};
pub use holder::ConfigureError;
pub use judged::{Judged, judge};
pub use keeper::{Access, Tokens};
pub use status::{Shelf, Standing, TokenStatus};
