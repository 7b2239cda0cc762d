//! What may happen to orders, drawn at random.

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
};
use shop::infra::ports::gateway::Visit;

/// What happens next. Numbers choose among what there is by then.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    CheckOut {
        pieces: [i64; 2],
    },
    /// The customer goes to the provider's checkout.
    Pay {
        order: usize,
        visit: Visit,
        arrival: Arrival,
    },
    /// A webhook arrives that was on its way.
    Arrive {
        which: usize,
    },
    /// A webhook arrives once more.
    Repeat {
        which: usize,
    },
    /// The provider tells of another sum.
    Misread {
        order: usize,
    },
    Cancel {
        order: usize,
    },
    /// An admin sets a status.
    Move {
        order: usize,
        to: &'static str,
    },
    Refund {
        order: usize,
        how: Sum,
        restock: bool,
    },
    /// Time passes, and what is overdue expires.
    Pass {
        minutes: u64,
    },
    Reconcile,
    Crash,
}

/// When the webhooks of a visit arrive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arrival {
    Now,
    Later,
    Never,
}

/// How much goes back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sum {
    Rest,
    All,
    Part,
    /// More than there is.
    More,
}

fn visit() -> impl Strategy<Value = Visit> {
    let odds = (0..4_u8, any::<bool>(), 0..3_u32, any::<bool>());
    odds.prop_map(|(fails, fails_first, duplicates, is_reordered)| Visit {
        fails: fails == 0,
        fails_first,
        duplicates,
        is_reordered,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let arrival = prop_oneof![
        4 => Just(Arrival::Now),
        2 => Just(Arrival::Later),
        1 => Just(Arrival::Never),
    ];
    let to = prop_oneof![
        3 => Just("SHIPPED"),
        2 => Just("DELIVERED"),
        1 => Just("CANCELLED"),
        1 => Just("PAID"),
    ];
    let sum = prop_oneof![
        3 => Just(Sum::Rest),
        1 => Just(Sum::All),
        3 => Just(Sum::Part),
        1 => Just(Sum::More),
    ];
    // Few, so that much happens to each.
    let order = || 0..4_usize;
    // Sums of these never come to just the 30 minutes of the window.
    let minutes = prop_oneof![3 => Just(11_u64), 1 => Just(31_u64)];
    prop_oneof![
        4 => (0..3_i64, 0..3_i64).prop_map(|(one, two)| Step::CheckOut { pieces: [one, two] }),
        8 => (order(), visit(), arrival)
            .prop_map(|(order, visit, arrival)| Step::Pay { order, visit, arrival }),
        3 => any::<usize>().prop_map(|which| Step::Arrive { which }),
        2 => any::<usize>().prop_map(|which| Step::Repeat { which }),
        1 => order().prop_map(|order| Step::Misread { order }),
        3 => order().prop_map(|order| Step::Cancel { order }),
        4 => (order(), to).prop_map(|(order, to)| Step::Move { order, to }),
        8 => (order(), sum, any::<bool>())
            .prop_map(|(order, how, restock)| Step::Refund { order, how, restock }),
        2 => minutes.prop_map(|minutes| Step::Pass { minutes }),
        1 => Just(Step::Reconcile),
        1 => Just(Step::Crash),
    ]
}

/// A story begins with an order: of nothing there is nothing to tell.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let first = Step::CheckOut { pieces: [1, 1] };
    vec(step(), 4..40).prop_map(move |rest| [&[first][..], &rest].concat())
}
