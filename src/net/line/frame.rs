//! Where records begin and end, by their headers alone.

/// What stands before a record, in bytes (RFC 8446 §5.1).
pub(super) const HEADER: usize = 5;

/// How long a record is with its header, once that has come.
fn length(record: &[u8]) -> Option<usize> {
    let &[_, _, _, high, low, ..] = record else { return None };
    Some(HEADER + usize::from(u16::from_be_bytes([high, low])))
}

/// How many bytes a record is short of, as far as its header tells.
pub(super) fn missing(piece: &[u8]) -> usize {
    length(piece).map_or(0, |length| length.saturating_sub(piece.len()))
}

/// How much of what has come is whole records.
pub(super) fn whole(sealed: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = length(&sealed[at..]).filter(|length| *length <= sealed.len() - at) {
        at += length;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_short_of_what_its_header_tells_and_of_nothing_known_without_one() {
        let sealed = [23, 3, 3, 0, 2, 1, 1, 23, 3, 3, 1, 0, 7];
        assert_eq!(whole(&sealed), 7);
        assert_eq!(missing(&sealed[7..]), 255);
        assert_eq!(missing(&sealed[7..11]), 0);
        assert_eq!((whole(&sealed[..6]), missing(&sealed[..6])), (0, 1));
        assert_eq!((whole(&[]), missing(&[])), (0, 0));
    }
}
