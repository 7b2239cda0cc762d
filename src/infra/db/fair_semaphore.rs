//! Slots for long reads, fair to the client networks that ask for them.
//!
//! Whoever waits for a slot waits asynchronously: a thread and a connection are taken only with a slot. The
//! networks that wait are served in turn, and none holds all slots, so that one with many expensive requests
//! delays only itself.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::core::error::{Error, Result};

/// How many may wait from one network, and from all together.
const MAX_WAITING: usize = 16;
const MAX_WAITING_IN_ALL: usize = 256;

/// Who asks for a slot: a client network, or the program and its admins.
pub(super) type Asker = Option<IpAddr>;

#[derive(Debug, Clone)]
pub(super) struct Slots(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    /// How many slots one client network may hold.
    share: usize,
    held: HashMap<Asker, usize>,
    /// Who waits, by asker; the next turn is at the front.
    waiting: VecDeque<(Asker, VecDeque<oneshot::Sender<Slot>>)>,
}

/// A slot; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` once it was taken back.
    slots: Option<Slots>,
    asker: Asker,
}

impl Slots {
    /// So many slots, of which one client network holds up to `share`.
    pub(super) fn new(count: usize, share: usize) -> Slots {
        Slots(Arc::new(Mutex::new(State {
            free: count,
            share: share.max(1),
            held: HashMap::new(),
            waiting: VecDeque::new(),
        })))
    }

    /// Waits for a slot, up to `timeout`.
    ///
    /// Errors: `unavailable` if too many wait already, or it takes too long.
    pub(super) async fn enter(&self, asker: Asker, timeout: Duration) -> Result<Slot> {
        let full = || Error::unavailable("too many long reads at once; try again");
        let slot = {
            let mut state = self.lock();
            state.forget_gone();
            let own = state.waiting.iter().position(|(other, _)| *other == asker);
            let ahead = own.map_or(0, |index| state.waiting[index].1.len());
            let all: usize = state.waiting.iter().map(|(_, queue)| queue.len()).sum();
            if ahead >= MAX_WAITING && asker.is_some() || all >= MAX_WAITING_IN_ALL {
                return Err(full());
            }
            let (sender, receiver) = oneshot::channel();
            match own {
                Some(index) => state.waiting[index].1.push_back(sender),
                None => state.waiting.push_back((asker, VecDeque::from([sender]))),
            }
            self.grant(&mut state);
            receiver
        };
        tokio::time::timeout(timeout, slot)
            .await
            .map_err(|_| full())?
            .map_err(Error::internal)
    }

    /// Hands free slots to those whose turn it is.
    fn grant(&self, state: &mut State) {
        while state.free > 0 {
            let next = state.waiting.iter().position(|(asker, _)| {
                let held = state.held.get(asker).copied().unwrap_or_default();
                asker.is_none() || held < state.share
            });
            let Some((asker, mut queue)) = next.and_then(|index| state.waiting.remove(index))
            else {
                return;
            };
            let slot = Slot {
                slots: Some(self.clone()),
                asker,
            };
            match queue.pop_front().map(|sender| sender.send(slot)) {
                Some(Ok(())) => {
                    state.free -= 1;
                    *state.held.entry(asker).or_default() += 1;
                }
                // The caller has gone away; the lock is held here.
                Some(Err(mut slot)) => slot.slots = None,
                None => {}
            }
            if !queue.is_empty() {
                state.waiting.push_back((asker, queue));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes the callers that wait no longer.
    fn forget_gone(&mut self) {
        for (_, queue) in &mut self.waiting {
            queue.retain(|sender| !sender.is_closed());
        }
        self.waiting.retain(|(_, queue)| !queue.is_empty());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(slots) = self.slots.take() else {
            return;
        };
        let mut state = slots.lock();
        state.free += 1;
        if let Some(held) = state.held.get_mut(&self.asker) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(&self.asker);
            }
        }
        slots.grant(&mut state);
    }
}
