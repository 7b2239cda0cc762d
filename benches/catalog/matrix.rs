//! All combinations of filters, sort orders and pagination, in a small and in a large catalog.

use std::time::{Duration, Instant};

use crate::{
    get_request,
    support::{Connection, median, results::Row},
};

const CATEGORIES: [&str; 2] = ["", "category=lighting"];

const PRICES: [&str; 6] = [
    "",
    "minPrice=100000",
    "maxPrice=300000",
    "minPrice=50000&maxPrice=200000",
    "minPrice=129900&maxPrice=130900",
    "minPrice=4000000",
];

const STOCK: [&str; 3] = ["", "inStock=true", "inStock=false"];

/// None, a common word, two words, a rare word, a prefix.
const SEARCHES: [&str; 5] = ["", "q=cotton", "q=steel%20lamp", "q=channapatna", "q=b"];

const SORTS: [&str; 7] = [
    "price",
    "-price",
    "name",
    "-name",
    "createdAt",
    "-createdAt",
    "relevance",
];

/// The page before the last one of the small catalog, if it has so many.
const MAX_DEEP_PAGE: i64 = 500;

/// In each catalog, of each combination: at most so many requests in at most so much time.
const MAX_REQUESTS: usize = 15;
const MAX_TIME: Duration = Duration::from_millis(100);

/// The largest acceptable ratio; of searches with filters, and of all others.
const FILTERED_SEARCH_GOAL: f64 = 3.0;
const GOAL: f64 = 1.5;

struct Combination {
    query: String,
    goal: f64,
    has_cursor: bool,
}

fn combinations() -> Vec<Combination> {
    let mut all = Vec::new();
    for search in SEARCHES {
        for category in CATEGORIES {
            for price in PRICES {
                for stock in STOCK {
                    let filters = [category, price, stock];
                    let is_filtered = filters.iter().any(|filter| !filter.is_empty());
                    let goal = if is_filtered && !search.is_empty() {
                        FILTERED_SEARCH_GOAL
                    } else {
                        GOAL
                    };
                    for sort in SORTS {
                        let is_relevance = sort == "relevance";
                        if is_relevance && search.is_empty() {
                            continue;
                        }
                        let mut query = format!("limit=20&sort={sort}");
                        for part in filters
                            .iter()
                            .chain([&search])
                            .filter(|part| !part.is_empty())
                        {
                            query = format!("{query}&{part}");
                        }
                        all.push(Combination {
                            query,
                            goal,
                            has_cursor: !is_relevance,
                        });
                    }
                }
            }
        }
    }
    all
}

struct Growth {
    /// The time in the large catalog divided by that in the small one.
    ratio: f64,
    goal: f64,
    text: String,
}

/// Prints the ratio of each combination, worst first.
pub(crate) async fn compare(small: &str, large: &str) {
    let mut connections = [Connection::open(small).await, Connection::open(large).await];
    let mut all = Vec::new();
    for combination in combinations() {
        for (page, paths) in pages(&mut connections, &combination).await {
            let [small, large] = times(&mut connections, &paths).await;
            all.push(Growth {
                ratio: large / small,
                goal: combination.goal,
                text: format!("{page}, {small:.0} to {large:.0} µs, {}", combination.query),
            });
        }
    }
    all.sort_by(|one, other| other.ratio.total_cmp(&one.ratio));
    for Growth { ratio, goal, text } in &all {
        let verdict = if ratio <= goal { "met" } else { "missed" };
        println!("{ratio:.2} × (goal {goal} {verdict}): {text}");
    }
    for (work, goal) in [
        ("lists and searches", GOAL),
        ("searches with filters", FILTERED_SEARCH_GOAL),
    ] {
        let ratios: Vec<f64> = all
            .iter()
            .filter(|growth| growth.goal.total_cmp(&goal).is_eq())
            .map(|growth| growth.ratio)
            .collect();
        let count = ratios.len();
        let met = ratios.iter().filter(|ratio| **ratio <= goal).count();
        println!("{work}: {met} of {count} combinations meet the goal");
        let limit = format!("10,000 products, {met} of {count} met");
        let worst = ratios.into_iter().fold(0.0, f64::max);
        Row::ratio(format!("growth of {work}, worst"), worst, limit)
            .at_most(goal)
            .record();
    }
}

/// Returns the pages of a combination with their path in each catalog: the first, a deep one, and, by cursor, the first
/// and the second.
async fn pages(
    connections: &mut [Connection; 2],
    combination: &Combination,
) -> Vec<(&'static str, [String; 2])> {
    let path = format!("/api/v1/products?{}", combination.query);
    let total = get(&mut connections[0], &path).await["total"]
        .as_i64()
        .expect("a total");
    let deep = format!("{path}&page={}", (total / 20).clamp(1, MAX_DEEP_PAGE));
    let same = |path: &str| [path.to_owned(), path.to_owned()];
    let mut pages = vec![("first page", same(&path)), ("deep page", same(&deep))];
    if !combination.has_cursor {
        return pages;
    }
    let first = format!("{path}&cursor=");
    let mut next = Vec::new();
    for connection in connections {
        let answer = get(connection, &first).await;
        next.extend(
            answer["nextCursor"]
                .as_str()
                .map(|cursor| format!("{first}{cursor}")),
        );
    }
    pages.push(("first cursor", same(&first)));
    // Few products match in the small catalog.
    if let Ok(next) = <[String; 2]>::try_from(next) {
        pages.push(("next cursor", next));
    }
    pages
}

async fn get(connection: &mut Connection, path: &str) -> serde_json::Value {
    let (status, body) = connection.send(&get_request(path)).await;
    assert_eq!(status, 200, "{path}");
    serde_json::from_slice(body).expect("JSON")
}

/// Returns the median time of a request in each catalog, in microseconds, measured alternating.
async fn times(connections: &mut [Connection; 2], paths: &[String; 2]) -> [f64; 2] {
    let started = Instant::now();
    let mut times = [Vec::new(), Vec::new()];
    while times[0].is_empty() || (times[0].len() < MAX_REQUESTS && started.elapsed() < MAX_TIME) {
        // The server ignores empty parameters, and has not cached this path.
        let empty = "&".repeat(1 + times[0].len());
        for ((connection, path), times) in connections.iter_mut().zip(paths).zip(&mut times) {
            let request = get_request(&format!("{path}{empty}"));
            let started = Instant::now();
            let (status, _) = connection.send(&request).await;
            assert_eq!(status, 200, "{path}");
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.map(median)
}
