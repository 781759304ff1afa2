//! What a token says about itself.
//!
//! The signature is **not** checked. What is read here came from the token endpoint over a verified TLS
//! connection, in answer to our own request, which is as good a proof of who wrote it (OIDC
//! Core §3.1.3.7, point 6); a token from anywhere else must not be read with this. Access tokens are
//! opaque by contract (Microsoft, "Access tokens in the Microsoft identity platform"): what they say
//! serves diagnosis, never a refusal.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::entry::{Entry, Met, Sign};
use crate::{
    failure::{Explanation, Fault},
    ids::ProtocolKind,
    secret::Secret,
};

/// The longest token that is read, in bytes: Entra's have up to some ten thousand.
const LONGEST_TOKEN: usize = 64 * 1024;

/// The payload of a JWT (RFC 7519 §4, and the claims of OIDC and Entra).
///
/// A claim of another type than expected counts as absent; the others are still read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// For whom the token is: `aud`, one or several.
    pub audience: Vec<String>,
    /// Who issued it: `iss`.
    pub issuer: Option<String>,
    /// Entra's id of the tenant: `tid`.
    pub tenant: Option<String>,
    /// The id of who signed in, which no renaming changes: Entra's `oid`, elsewhere `sub`.
    pub object: Option<String>,
    /// The names of who signed in, in lower case, each once: `preferred_username`, `upn`, `unique_name`, and
    /// outside Entra a verified `email`.
    pub users: Vec<String>,
    /// What the token permits: `scp` of a person, `roles` of an app. Empty also where it does not say.
    pub permissions: Vec<String>,
    /// The id of the app: `appid`, or `azp` in newer tokens.
    pub app: Option<String>,
    /// Whether the app logged in as itself.
    pub is_app: bool,
    /// Seconds since 1970 at which the token expires: `exp`.
    pub expires_at: Option<u64>,
}

impl Claims {
    /// Reads a token's payload, without checking its signature.
    ///
    /// `None` for what is no JWT, as the tokens of personal accounts and of Google are, or longer than
    /// 64 KiB. What is read is as true as its source: take it from the token endpoint alone.
    #[must_use]
    pub fn read(jwt: &Secret) -> Option<Self> {
        let token = jwt.expose_str().filter(|token| token.len() <= LONGEST_TOKEN)?;
        let parts = token.split('.').collect::<Vec<_>>();
        // An encrypted token has five parts (RFC 7516 §7.1).
        let [_, payload, _] = parts.as_slice() else { return None };
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&payload).ok().map(|claims| Self::of(&claims))
    }

    fn of(claims: &Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let scopes = words(claims.get("scp"));
        let roles = texts(claims.get("roles"));
        let users = users(claims);
        let says_app = text("idtyp").map(|kind| kind.eq_ignore_ascii_case("app"));
        // Without the optional claim `idtyp`, an app's token is known by roles and nobody's name.
        let is_app = says_app.unwrap_or(scopes.is_empty() && users.is_empty() && !roles.is_empty());
        Self {
            audience: texts(claims.get("aud")),
            issuer: text("iss"),
            tenant: text("tid"),
            object: text("oid").or_else(|| text("sub")),
            users,
            permissions: scopes.into_iter().chain(roles).collect(),
            app: text("appid").or_else(|| text("azp")),
            is_app,
            expires_at: claims.get("exp").and_then(seconds),
        }
    }

    /// What the token lacks for `kind`, as far as it can be told: a readable token for Exchange Online
    /// without the permission, or one for Microsoft Graph.
    ///
    /// For diagnosis, never to refuse a login by: a role of Exchange's own RBAC for applications stands in no
    /// token (Microsoft, "Role Based Access Control for Applications in Exchange Online").
    #[must_use]
    pub fn lacks(&self, kind: ProtocolKind) -> Option<Explanation> {
        let needed = self.permission(kind);
        if self.is_for(&GRAPH) {
            return Some(explained(&TABLE[0], needed, kind));
        }
        let has = |name: &str| self.permissions.iter().any(|held| held.eq_ignore_ascii_case(name));
        if self.permissions.is_empty() || !self.is_for(&EXCHANGE) || has(needed) {
            return None;
        }
        let known = match (self.is_app, has("full_access_as_app")) {
            (true, true) => &TABLE[1],
            (true, false) => &TABLE[2],
            (false, _) => &TABLE[3],
        };
        Some(explained(known, needed, kind))
    }

    /// The permission of "Office 365 Exchange Online" that a protocol needs. Microsoft, "Authenticate an
    /// IMAP, POP or SMTP connection using OAuth".
    fn permission(&self, kind: ProtocolKind) -> &'static str {
        match (kind, self.is_app) {
            (ProtocolKind::Imap, false) => "IMAP.AccessAsUser.All",
            (ProtocolKind::Imap, true) => "IMAP.AccessAsApp",
            (ProtocolKind::Smtp, false) => "SMTP.Send",
            (ProtocolKind::Smtp, true) => "SMTP.SendAsApp",
            (ProtocolKind::Pop3, false) => "POP.AccessAsUser.All",
            (ProtocolKind::Pop3, true) => "POP.AccessAsApp",
        }
    }

    fn is_for(&self, resource: &[&str]) -> bool {
        let host = |audience: &str| {
            let audience = audience.to_ascii_lowercase();
            audience.strip_prefix("https://").unwrap_or(&audience).trim_end_matches('/').to_owned()
        };
        self.audience.iter().any(|audience| resource.contains(&host(audience).as_str()))
    }
}

const OUTLOOK: &str = "Microsoft, \"Authenticate an IMAP, POP or SMTP connection using OAuth\"";

/// What tokens lack. `PERMISSION` stands for what a protocol needs, `PROTOCOL` for its name.
pub(super) const TABLE: &[Entry; 4] = &[
    Entry::new(
        Met::Token,
        Sign::Claim("aud names Microsoft Graph"),
        Fault::Operator,
        "the token is for Microsoft Graph, which serves neither IMAP nor POP3 nor SMTP",
        "let scopes name those of https://outlook.office.com alone",
    )
    .named("graph_audience")
    .by(OUTLOOK),
    Entry::new(
        Met::Token,
        Sign::Claim("roles has full_access_as_app and not PERMISSION"),
        Fault::Administrator,
        "the app has full_access_as_app, a role for EWS that does not serve PROTOCOL",
        GRANT_IT,
    )
    .named("full_access_as_app")
    .by(OUTLOOK),
    Entry::new(Met::Token, Sign::Claim("roles lacks PERMISSION"), Fault::Administrator, LACKS, GRANT_IT)
        .named("role_missing")
        .by(OUTLOOK),
    Entry::new(
        Met::Token,
        Sign::Claim("scp lacks PERMISSION"),
        Fault::Operator,
        LACKS,
        "give the app PERMISSION in Entra > API permissions, then authorize again",
    )
    .named("scope_missing")
    .by(OUTLOOK),
];

const LACKS: &str = "the token lacks the permission PERMISSION";

const GRANT_IT: &str = "grant it PERMISSION of Office 365 Exchange Online, with admin consent";

fn explained(known: &Entry, needed: &str, kind: ProtocolKind) -> Explanation {
    let protocol = kind.name().to_ascii_uppercase();
    let named = |text: &str| text.replace("PERMISSION", needed).replace("PROTOCOL", &protocol);
    Explanation::new(named(known.cause), named(known.cure)).blaming(known.fault, known.passes)
}

/// Exchange Online in the audience, in every cloud: by its hosts, or by the id of its app.
const EXCHANGE: [&str; 7] = [
    "outlook.office.com",
    "outlook.office365.com",
    "outlook.office365.us",
    "outlook-dod.office365.us",
    "webmail.apps.mil",
    "partner.outlook.cn",
    "00000002-0000-0ff1-ce00-000000000000",
];

/// Microsoft Graph in the audience, likewise.
const GRAPH: [&str; 5] = [
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
    "00000003-0000-0000-c000-000000000000",
];

/// The names of who signed in.
///
/// `email` counts only outside Entra, whose users may write what they like there (Microsoft, "Migrate away
/// from using email claims for user identification or authorization"), and where the authority does not call it
/// unverified (OIDC Core §5.1).
fn users(claims: &Map<String, Value>) -> Vec<String> {
    let is_unverified = claims.get("email_verified").is_some_and(|verified| *verified == Value::Bool(false));
    let email = (!claims.contains_key("tid") && !is_unverified).then_some("email");
    let names = ["preferred_username", "upn", "unique_name"].into_iter().chain(email);
    let mut users = Vec::new();
    for name in names.filter_map(|name| claims.get(name).and_then(Value::as_str)) {
        let user = name.trim().to_lowercase();
        if !user.is_empty() && !users.contains(&user) {
            users.push(user);
        }
    }
    users
}

/// A text, or the texts of a list.
fn texts(claim: Option<&Value>) -> Vec<String> {
    let one = claim.and_then(Value::as_str);
    let several = claim.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several).map(str::to_owned).collect()
}

/// The words of a text, or of the texts of a list.
fn words(claim: Option<&Value>) -> Vec<String> {
    texts(claim).iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect()
}

/// A time in seconds since 1970 (RFC 7519 §2, `NumericDate`, which may have a fraction).
fn seconds(claim: &Value) -> Option<u64> {
    let whole = || claim.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds.to_string());
    claim.as_u64().or_else(|| whole()?.split('.').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::failure::LONGEST_LINE;

    fn token(payload: &[u8]) -> Secret {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)))
    }

    fn claims(payload: &Value) -> Claims {
        Claims::read(&token(payload.to_string().as_bytes())).unwrap()
    }

    #[test]
    fn a_persons_token_tells_who_signed_in_and_what_for() {
        let read = claims(&json!({
            "aud": "https://outlook.office.com", "iss": "https://sts.windows.net/t/", "tid": "t", "oid": "o",
            "sub": "s", "appid": "a", "upn": "Ann@Contoso.com", "unique_name": "ann@contoso.com",
            "preferred_username": "ann.o@contoso.com", "email": "ceo@fabrikam.com",
            "scp": "IMAP.AccessAsUser.All  SMTP.Send", "exp": 1_700_000_000,
        }));
        let expected = Claims {
            audience: vec!["https://outlook.office.com".to_owned()],
            issuer: Some("https://sts.windows.net/t/".to_owned()),
            tenant: Some("t".to_owned()),
            object: Some("o".to_owned()),
            users: vec!["ann.o@contoso.com".to_owned(), "ann@contoso.com".to_owned()],
            permissions: vec!["IMAP.AccessAsUser.All".to_owned(), "SMTP.Send".to_owned()],
            app: Some("a".to_owned()),
            is_app: false,
            expires_at: Some(1_700_000_000),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn an_address_counts_outside_entra_unless_it_is_unverified() {
        let users = |payload| claims(&payload).users;
        assert_eq!(users(json!({"email": "Ann@Gmail.com", "sub": "1"})), ["ann@gmail.com"]);
        assert_eq!(users(json!({"email": "a@b.c", "email_verified": true})), ["a@b.c"]);
        assert!(users(json!({"email": "a@b.c", "email_verified": false})).is_empty());
        assert!(users(json!({"email": "a@b.c", "tid": "t"})).is_empty());
    }

    #[test]
    fn an_apps_token_is_known_with_or_without_its_type() {
        assert!(claims(&json!({"idtyp": "app"})).is_app);
        assert!(claims(&json!({"roles": ["IMAP.AccessAsApp"]})).is_app);
        assert!(!claims(&json!({"roles": ["x"], "idtyp": "user"})).is_app);
        assert!(!claims(&json!({"roles": ["x"], "upn": "ann"})).is_app);
        assert!(!claims(&json!({})).is_app);
    }

    #[test]
    fn a_claim_of_another_type_does_not_hide_the_others() {
        let read = claims(&json!({
            "aud": ["a", 1, "b"], "tid": 7, "oid": null, "sub": "s", "upn": {}, "unique_name": "ann", "roles": "one",
            "scp": ["a b", 3], "exp": "soon", "iss": [], "idtyp": false,
        }));
        assert_eq!((read.audience.len(), read.object.as_deref()), (2, Some("s")));
        assert_eq!(read.users, ["ann"]);
        assert_eq!(read.permissions, ["a", "b", "one"]);
        assert_eq!((read.tenant, read.issuer, read.expires_at), (None, None, None));
    }

    #[test]
    fn an_expiry_may_have_a_fraction_and_not_be_before_1970() {
        for (exp, read) in
            [(json!(5.9), Some(5)), (json!(-1), None), (json!(1e300), None), (json!(7), Some(7))]
        {
            assert_eq!(claims(&json!({"exp": exp})).expires_at, read, "{exp}");
        }
    }

    #[test]
    fn what_is_no_jwt_is_not_read() {
        let encoded = URL_SAFE_NO_PAD.encode("{}");
        for text in ["", "opaque", "a.b", "ya29.a0Af.x", "..", &format!("{encoded}.{encoded}.c.d.e")] {
            assert_eq!(Claims::read(&Secret::new(text)), None, "{text}");
        }
        assert_eq!(Claims::read(&token(b"[]")), None);
        assert_eq!(Claims::read(&token(b"{\"a\":")), None);
        assert_eq!(Claims::read(&Secret::new(b"\xff.e30.".to_vec())), None);
    }

    #[test]
    fn a_token_longer_than_the_ceiling_is_not_read() {
        let long = |most: usize| Secret::new(format!("e30.e30.{}", "x".repeat(most - 8)));
        assert!(Claims::read(&long(LONGEST_TOKEN)).is_some());
        assert!(Claims::read(&long(LONGEST_TOKEN + 1)).is_none());
    }

    #[test]
    fn every_spelling_of_the_audience_is_known() {
        for resource in EXCHANGE {
            for audience in
                [resource.to_owned(), format!("https://{resource}/"), format!("HTTPS://{resource}")]
            {
                let read = claims(&json!({"aud": audience, "scp": "SMTP.Send"}));
                assert!(read.lacks(ProtocolKind::Imap).is_some(), "{audience}");
                assert_eq!(read.lacks(ProtocolKind::Smtp), None, "{audience}");
            }
        }
        for resource in GRAPH {
            let read = claims(&json!({"aud": format!("https://{resource}")}));
            assert!(read.lacks(ProtocolKind::Imap).unwrap().cause.contains("Graph"), "{resource}");
        }
    }

    #[test]
    fn a_missing_permission_is_named_with_its_cure() {
        let lacks = |payload, kind| claims(&payload).lacks(kind).map(|explanation| explanation.line());
        let aud = "https://outlook.office365.com";
        assert_eq!(
            lacks(json!({"aud": aud, "scp": "SMTP.Send"}), ProtocolKind::Imap).unwrap(),
            "the token lacks the permission IMAP.AccessAsUser.All: \
             give the app IMAP.AccessAsUser.All in Entra > API permissions, then authorize again"
        );
        assert_eq!(
            lacks(json!({"aud": aud, "roles": ["full_access_as_app"]}), ProtocolKind::Imap).unwrap(),
            "the app has full_access_as_app, a role for EWS that does not serve IMAP: \
             grant it IMAP.AccessAsApp of Office 365 Exchange Online, with admin consent"
        );
        assert_eq!(
            lacks(json!({"aud": aud, "scp": "SMTP.Send"}), ProtocolKind::Pop3).unwrap(),
            "the token lacks the permission POP.AccessAsUser.All: \
             give the app POP.AccessAsUser.All in Entra > API permissions, then authorize again"
        );
        assert_eq!(
            lacks(json!({"aud": aud, "roles": ["IMAP.AccessAsApp"]}), ProtocolKind::Pop3).unwrap(),
            "the token lacks the permission POP.AccessAsApp: \
             grant it POP.AccessAsApp of Office 365 Exchange Online, with admin consent"
        );
        let served = json!({"aud": aud, "roles": ["full_access_as_app", "smtp.sendasapp"]});
        assert_eq!(lacks(served, ProtocolKind::Smtp), None);
    }

    #[test]
    fn a_token_that_does_not_say_lacks_nothing() {
        for payload in [
            json!({}),
            json!({"aud": "https://outlook.office.com"}),
            json!({"aud": "https://mail.example.com", "scp": "x"}),
            json!({"aud": "https://outlook.office.com.example.com", "scp": "x"}),
        ] {
            for kind in ProtocolKind::ALL {
                assert_eq!(claims(&payload).lacks(kind), None, "{payload}");
            }
        }
    }

    #[test]
    fn every_lack_fits_on_one_line_whole() {
        for payload in
            [json!({"scp": "x"}), json!({"roles": ["x"]}), json!({"roles": ["full_access_as_app"]})]
        {
            for kind in ProtocolKind::ALL {
                let audience = vec!["outlook.office.com".to_owned()];
                let lack = Claims { audience, ..claims(&payload) }.lacks(kind).unwrap();
                assert!(lack.line().ends_with(&lack.cure) && !lack.line().contains("..."));
                assert!(lack.line().len() <= LONGEST_LINE, "{}", lack.line());
            }
        }
    }

    /// JSON of every type, in few levels.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC*|[\\x00-\\xff]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| proptest::collection::vec(inner, 0..4).prop_map(Value::from))
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>, dots in "[A-Za-z0-9_=.-]*") {
            let _ = Claims::read(&Secret::new(bytes.clone()));
            let _ = Claims::read(&Secret::new(dots));
            let _ = Claims::read(&token(&bytes));
        }

        #[test]
        fn no_claims_make_reading_panic_or_break_a_line(
            claims in proptest::collection::hash_map(
                "aud|iss|tid|oid|sub|upn|unique_name|email|preferred_username|scp|roles|azp|appid|exp|idtyp",
                value(),
                0..15,
            ),
        ) {
            let payload = serde_json::to_vec(&claims).unwrap();
            let read = Claims::read(&token(&payload)).unwrap();
            for kind in ProtocolKind::ALL {
                let line = read.lacks(kind).map(|lack| lack.line()).unwrap_or_default();
                prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
            }
        }
    }
}
