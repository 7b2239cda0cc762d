//! The options of commands that list rows page by page.

use clap::{Args, value_parser};

use crate::core::pagination::{Page, PageLimit, PageNumber, PageRequest};

/// Which page of a list to print.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct PageArgs {
    /// Page of the list
    #[arg(long, default_value_t = 1, value_parser = value_parser!(i64).range(1..=PageNumber::MAX))]
    page: i64,
    /// Number of entries on a page, at most 100
    #[arg(long, default_value_t = PageLimit::MAX, value_parser = value_parser!(i64).range(1..=PageLimit::MAX))]
    limit: i64,
}

impl From<PageArgs> for PageRequest {
    fn from(PageArgs { page, limit }: PageArgs) -> PageRequest {
        PageRequest { page, limit }
    }
}

/// Returns the message that says which page was printed and how to see the next one; `None` on the last page.
pub(super) fn remaining_pages<T>(page: &Page<T>) -> Option<String> {
    let (number, pages) = (page.page, page.total_pages);
    let next = number + 1;
    (number < pages)
        .then(|| format!("this is page {number} of {pages}; use `--page {next}` for the next one"))
}
