//! Logical entries, and filters over them.

use replication_log::{
    Lsn,
    entry::logical::{Entry, Filter, Transaction},
};

/// Entries, filters and transactions are refused or are the one encoding of what they say. What a filter leaves of a
/// transaction covers the same records, has entries only where the transaction has, and can be sent.
pub fn an_entry_decodes_only_from_its_one_encoding(bytes: &[u8]) {
    // The first byte says how long the filter is; the entry is what is left.
    let (&length, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (filter, rest) = rest.split_at(rest.len().min(length.into()));
    let filter = Filter::decode(filter).inspect(|decoded| assert_eq!(decoded.encode(), filter));
    let filter = filter.unwrap_or(Filter::everything());
    if let Ok(transaction) = Transaction::decode(rest) {
        let bytes = transaction.encode().expect("it was decoded");
        assert!(bytes == rest || transaction.skipped() > 0);
        check_filtered(&filter, &transaction);
    }
    let Ok(decoded) = Entry::decode(rest) else {
        return;
    };
    let Some(entry) = decoded.entry else {
        return;
    };
    assert_eq!(entry.encode(decoded.last).as_deref(), Ok(rest));
    let transaction = Transaction::numbered(Lsn::FIRST, vec![entry]).expect("one entry");
    check_filtered(&filter, &transaction);
}

fn check_filtered(filter: &Filter, transaction: &Transaction) {
    let Ok(shown) = filter.apply(transaction) else {
        return;
    };
    assert_eq!((shown.first(), shown.last()), (transaction.first(), transaction.last()));
    let is_from = |(lsn, _): &(Lsn, Entry)| transaction.entries().iter().any(|(from, _)| from == lsn);
    assert!(shown.entries().iter().all(is_from));
    assert!(shown.encode().is_ok(), "what is shown can be sent");
}
