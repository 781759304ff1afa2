//! Every wire conversation of `tests/dialogues`, held with a real bridge.
//!
//! How the scripts are written is said in `tests/dialogues/README.md`.

#![allow(clippy::unwrap_used, reason = "a broken test has to break")]

mod harness;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use footbridge::failure::Failure;
use harness::script::Script;

/// One test for each script; the name of the test is the name of the file.
macro_rules! dialogues {
    ($($protocol:ident { $($script:ident)* })*) => {
        $(mod $protocol {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $script() {
                    super::hold(stringify!($protocol), stringify!($script)).await;
                }
            )*
        })*

        const LISTED: &[(&str, &[&str])] = &[$((stringify!($protocol), &[$(stringify!($script)),*])),*];
    };
}

dialogues! {
    imap {
        any_bytes_pass
        authenticate_cancelled
        authenticate_empty_initial_response
        authenticate_login
        authenticate_login_with_initial_response
        authenticate_malformed
        authenticate_plain
        authenticate_plain_with_initial_response
        authenticate_plain_with_own_authzid
        authority_recovers
        authority_refuses
        authority_unavailable
        authzid_of_somebody_else
        bytes_behind_the_ok
        capabilities_before_the_ok_are_filtered
        capabilities_in_the_ok_are_filtered
        client_leaves_in_the_middle
        commands_behind_the_login
        consent_needed
        half_close_is_passed_on
        http_request
        implicit_tls
        line_too_long
        literal_too_long
        literal_without_waiting
        login_before_starttls
        login_in_another_case
        login_in_pieces
        login_with_atom_and_literal
        login_with_atoms
        login_with_bare_line_feed
        login_with_escapes_in_quoted_strings
        login_with_literal_and_atom
        login_with_literal_and_quoted_string
        login_with_mixed_literals
        login_with_nonsynchronising_literals
        login_with_quoted_string_and_literal
        login_with_quoted_strings
        login_with_synchronising_literals
        login_without_a_domain
        login_without_two_arguments
        long_token
        no_login_in_time
        not_permitted
        odd_tags
        password_of_strange_bytes
        refused_token_is_renewed
        refused_token_with_challenge
        second_login_uses_the_same_token
        session_ends_with_its_token
        several_attempts
        starttls_injection
        starttls_not_taken_up
        starttls_then_login
        starttls_twice
        stranger_learns_nothing
        throttled
        throttled_after_the_login
        tls_hello
        token_refused_twice
        too_many_commands
        too_many_errors
        too_many_sessions
        too_many_wrong_passwords
        upstream_closes_early
        upstream_greets_with_bye
        upstream_greets_with_preauth
        upstream_is_busy_once
        upstream_is_silent
        upstream_never_ends_its_line
        upstream_of_another_front_end
        upstream_refuses_starttls
        upstream_repeats_the_token
        upstream_repeats_the_token_in_clear
        upstream_speaks_garbage
        upstream_starttls
        upstream_starttls_injection
        upstream_tells_capabilities_when_asked
        upstream_tells_no_capabilities_of_the_mailbox
        upstream_tells_the_capabilities_of_the_mailbox
        upstream_throttles
        upstream_without_initial_responses
        what_the_upstream_says_last_passes
        wildcard_opens_its_mailboxes
        words_before_login
        wrong_password
    }
    smtp {
        auth_after_helo
        auth_cancelled
        auth_empty_initial_response
        auth_in_lower_case
        auth_login
        auth_login_with_initial_response
        auth_malformed
        auth_plain
        auth_plain_with_initial_response
        authority_refuses
        authority_unavailable
        authzid_of_somebody_else
        bdat_before_login
        client_with_an_odd_name
        commands_behind_the_login
        consent_needed
        device_must_encrypt
        device_of_old_times
        device_pipelines
        device_sends_as_somebody_else
        device_sends_without_a_login
        device_that_logs_in
        device_whose_upstream_refuses
        device_without_a_password_cannot_log_in
        device_without_a_token
        ehlo_and_auth_in_one_packet
        ehlo_promises
        ehlo_repeated
        half_close_is_passed_on
        http_request
        implicit_tls
        line_too_long
        login_before_starttls
        login_in_pieces
        login_with_bare_line_feeds
        login_without_a_domain
        long_token
        message_by_bdat
        message_by_data
        no_login_in_time
        not_permitted
        promises_are_those_of_the_upstream
        refusals_after_the_login_pass
        refused_token_is_renewed
        refused_token_with_challenge
        second_login_uses_the_same_token
        senders_and_half_a_close
        senders_and_other_commands
        senders_are_limited
        senders_are_not_smuggled
        senders_until_the_upstream_leaves
        senders_with_bdat
        senders_without_bdat
        several_attempts
        short_token
        short_token_is_asked_for
        short_token_refused_with_challenge
        starttls_injection
        starttls_then_login
        starttls_twice
        stranger_learns_nothing
        tenant_forbids_smtp
        throttled
        tls_hello
        token_refused_twice
        too_many_commands
        too_many_errors
        too_many_sessions
        too_many_wrong_passwords
        upstream_closes_early
        upstream_greets_with_421
        upstream_is_busy_once
        upstream_is_silent
        upstream_never_ends_its_greeting
        upstream_never_ends_its_line
        upstream_refuses_starttls
        upstream_repeats_the_token
        upstream_speaks_garbage
        upstream_starttls
        upstream_starttls_injection
        upstream_takes_no_token
        words_before_login
        wrong_password
    }
    pop3 {
        any_bytes_pass
        apop_is_refused
        auth_alone_lists_the_mechanisms
        auth_cancelled
        auth_empty_initial_response
        auth_in_lower_case
        auth_login
        auth_login_with_initial_response
        auth_malformed
        auth_plain
        auth_plain_with_initial_response
        auth_plain_with_own_authzid
        authority_recovers
        authority_refuses
        authority_unavailable
        authzid_of_somebody_else
        bytes_behind_the_ok
        capa_promises
        client_leaves_in_the_middle
        commands_behind_the_login
        consent_needed
        half_close_is_passed_on
        http_request
        implicit_tls
        line_too_long
        login_before_stls
        login_in_another_case
        login_in_one_packet
        login_in_pieces
        login_with_bare_line_feeds
        login_without_a_domain
        long_token
        mailbox_forbids_pop
        no_login_in_time
        not_permitted
        pass_without_user
        password_in_utf_8
        password_of_strange_bytes
        password_with_quotes
        password_with_spaces_around
        refused_token_is_renewed
        refused_token_with_challenge
        second_login_uses_the_same_token
        second_user_before_the_password
        several_attempts
        short_token
        short_token_is_asked_for
        short_token_refused_with_challenge
        stls_injection
        stls_is_not_offered
        stls_then_login
        stls_twice
        stranger_learns_nothing
        throttled
        tls_hello
        token_refused_twice
        too_many_commands
        too_many_errors
        too_many_sessions
        too_many_wrong_passwords
        upstream_closes_early
        upstream_delays_logins
        upstream_greets_with_err
        upstream_is_busy_once
        upstream_is_in_use_once
        upstream_is_silent
        upstream_never_ends_its_line
        upstream_of_another_front_end
        upstream_refuses_starttls
        upstream_repeats_the_token
        upstream_repeats_the_token_in_its_welcome
        upstream_speaks_garbage
        upstream_starttls
        upstream_starttls_injection
        upstream_takes_no_token
        upstream_throttles
        upstream_welcomes_in_its_own_words
        what_the_upstream_says_last_passes
        wildcard_opens_its_mailboxes
        words_before_login
        wrong_password
    }
}

#[test]
fn every_script_is_held() {
    for (protocol, listed) in LISTED {
        let listed: BTreeSet<String> = listed.iter().map(ToString::to_string).collect();
        assert_eq!(
            listed,
            scripts(protocol),
            "listed in tests/dialogues.rs, found in the folder of {protocol}"
        );
    }
}

/// A failure without a script is one of which nobody has seen what the client is told.
#[test]
fn every_failure_is_in_a_script_of_every_protocol() {
    /// What no conversation can bring about: something in the bridge itself must be broken.
    const UNREACHABLE: [Failure; 1] = [Failure::Internal];
    for (protocol, listed) in LISTED {
        let scripts = listed.iter().map(|script| Script::read(&path(protocol, script)));
        let exercised: BTreeSet<String> = scripts.flat_map(|script| script.setting.failures).collect();
        let all = Failure::ALL.iter().filter(|failure| !UNREACHABLE.contains(failure));
        let all: BTreeSet<String> = all.map(|failure| failure.name().to_owned()).collect();
        assert_eq!(exercised, all, "failures in the scripts of {protocol}");
    }
}

async fn hold(protocol: &str, script: &str) {
    harness::script::trial::hold(protocol, &path(protocol, script)).await;
}

fn path(protocol: &str, script: &str) -> PathBuf {
    folder(protocol).join(format!("{script}.txt"))
}

fn folder(protocol: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues").join(protocol)
}

fn scripts(protocol: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder(protocol)).unwrap().map(|file| file.unwrap().path());
    files.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}
