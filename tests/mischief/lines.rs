//! Replies of several lines.

use footbridge::explain::upstream::Remark;

/// Gmail says nearly everything in several lines, whose first ones have a hyphen behind the code (RFC 5321 §4.2.1). It
/// is the same reply: the operator wants to know that the mailbox may send no more today.
#[test]
fn a_refusal_of_several_lines_is_known_by_its_first() {
    let said = "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail\r\n\
                550-5.4.5 sending limits go to\r\n\
                550 5.4.5  https://support.google.com/a/answer/166852\r\n";
    assert_eq!(Remark::of(said.as_bytes()).map(|remark| remark.name), Some("daily_limit"));
    let said = "421-4.3.0 Temporary System Problem.  Try again later (10).\r\n421 4.3.0 see https://…\r\n";
    assert_eq!(Remark::of(said.as_bytes()).map(|remark| remark.name), Some("upstream_trouble"));
}
