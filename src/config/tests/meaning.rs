//! What correct files mean.

use super::*;

#[test]
fn the_smallest_configuration_has_no_mistakes() {
    assert_eq!(mistakes(MAIN, MAPPINGS), "");
}
