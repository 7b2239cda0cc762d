//! The random steps of a scenario.

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
};
use shop::infra::ports::gateway::SimulatedCheckout;

/// A step. Its numbers select among the orders or webhooks that exist by then.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    CheckOut {
        quantities: [i64; 2],
    },
    /// The customer visits the provider's checkout page.
    Pay {
        order: usize,
        visit: SimulatedCheckout,
        arrival: Arrival,
    },
    /// A delayed webhook arrives.
    Deliver {
        which: usize,
    },
    /// A webhook arrives again.
    Redeliver {
        which: usize,
    },
    /// The provider reports a wrong amount.
    WrongAmount {
        order: usize,
    },
    Cancel {
        order: usize,
    },
    /// An admin sets a status.
    SetStatus {
        order: usize,
        to: &'static str,
    },
    Refund {
        order: usize,
        amount: Amount,
        restock: bool,
    },
    /// Time passes, and unpaid orders expire.
    Wait {
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

/// How much an admin refunds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Amount {
    Refundable,
    Total,
    Part,
    /// More than is refundable.
    TooMuch,
}

fn visit() -> impl Strategy<Value = SimulatedCheckout> {
    let parts = (0..4_u8, any::<bool>(), 0..3_u32, any::<bool>());
    parts.prop_map(
        |(fails, fails_first, duplicates, is_reordered)| SimulatedCheckout {
            fails: fails == 0,
            fails_first,
            duplicates,
            is_reordered,
        },
    )
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
    let amount = prop_oneof![
        3 => Just(Amount::Refundable),
        1 => Just(Amount::Total),
        3 => Just(Amount::Part),
        1 => Just(Amount::TooMuch),
    ];
    // Few orders, so that many steps change the same one.
    let order = || 0..4_usize;
    // No sum of these equals the payment window of 30 minutes.
    let minutes = prop_oneof![3 => Just(11_u64), 1 => Just(31_u64)];
    prop_oneof![
        4 => (0..3_i64, 0..3_i64).prop_map(|(one, two)| Step::CheckOut { quantities: [one, two] }),
        8 => (order(), visit(), arrival)
            .prop_map(|(order, visit, arrival)| Step::Pay { order, visit, arrival }),
        3 => any::<usize>().prop_map(|which| Step::Deliver { which }),
        2 => any::<usize>().prop_map(|which| Step::Redeliver { which }),
        1 => order().prop_map(|order| Step::WrongAmount { order }),
        3 => order().prop_map(|order| Step::Cancel { order }),
        4 => (order(), to).prop_map(|(order, to)| Step::SetStatus { order, to }),
        8 => (order(), amount, any::<bool>())
            .prop_map(|(order, amount, restock)| Step::Refund { order, amount, restock }),
        2 => minutes.prop_map(|minutes| Step::Wait { minutes }),
        1 => Just(Step::Reconcile),
        1 => Just(Step::Crash),
    ]
}

/// Every scenario starts with a checkout, since most steps need an order.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let first = Step::CheckOut { quantities: [1, 1] };
    vec(step(), 4..40).prop_map(move |rest| [&[first][..], &rest].concat())
}
