//! A semaphore for long reads that is fair between client networks.
//!
//! Callers wait asynchronously; a thread and a connection are used only with a permit. Waiting networks are
//! served round-robin, and each may hold only a share of the permits. So a network with many expensive
//! requests delays only itself.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::core::error::{Error, Result};

/// The maximum number of waiting callers per network, and in total.
const MAX_WAITING: usize = 16;
const MAX_WAITING_TOTAL: usize = 256;

/// The client network that requests a permit; `None` for background tasks and admins, which have no share
/// limit.
pub(super) type Client = Option<IpAddr>;

#[derive(Debug, Clone)]
pub(super) struct FairSemaphore(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    available: usize,
    /// The maximum number of permits that one client network may hold.
    share: usize,
    held: HashMap<Client, usize>,
    /// The waiting callers by client, in round-robin order: the next one is at the front.
    waiting: VecDeque<(Client, VecDeque<oneshot::Sender<Permit>>)>,
}

/// A permit for one long read; released on drop.
#[derive(Debug)]
pub(super) struct Permit {
    /// `None` if the permit was never counted, because its receiver was gone.
    semaphore: Option<FairSemaphore>,
    client: Client,
}

impl FairSemaphore {
    /// Returns a semaphore with `permits` permits, of which one client network may hold up to `share`.
    pub(super) fn new(permits: usize, share: usize) -> FairSemaphore {
        FairSemaphore(Arc::new(Mutex::new(State {
            available: permits,
            share: share.max(1),
            held: HashMap::new(),
            waiting: VecDeque::new(),
        })))
    }

    /// Waits for a permit, up to `timeout`.
    ///
    /// Errors: `unavailable` on timeout, or if too many callers wait already.
    pub(super) async fn acquire(&self, client: Client, timeout: Duration) -> Result<Permit> {
        let full = || Error::unavailable("too many long reads at the same time; try again");
        let permit = {
            let mut state = self.lock();
            state.remove_abandoned();
            let own = state.waiting.iter().position(|(other, _)| *other == client);
            let own_waiting = own.map_or(0, |index| state.waiting[index].1.len());
            let total: usize = state.waiting.iter().map(|(_, queue)| queue.len()).sum();
            if own_waiting >= MAX_WAITING && client.is_some() || total >= MAX_WAITING_TOTAL {
                return Err(full());
            }
            let (sender, receiver) = oneshot::channel();
            match own {
                Some(index) => state.waiting[index].1.push_back(sender),
                None => state.waiting.push_back((client, VecDeque::from([sender]))),
            }
            self.grant(&mut state);
            receiver
        };
        tokio::time::timeout(timeout, permit)
            .await
            .map_err(|_| full())?
            .map_err(Error::internal)
    }

    /// Grants available permits to waiting callers, in round-robin order of the clients.
    fn grant(&self, state: &mut State) {
        while state.available > 0 {
            let next = state.waiting.iter().position(|(client, _)| {
                let held = state.held.get(client).copied().unwrap_or_default();
                client.is_none() || held < state.share
            });
            let Some((client, mut queue)) = next.and_then(|index| state.waiting.remove(index))
            else {
                return;
            };
            let permit = Permit {
                semaphore: Some(self.clone()),
                client,
            };
            match queue.pop_front().map(|sender| sender.send(permit)) {
                Some(Ok(())) => {
                    state.available -= 1;
                    *state.held.entry(client).or_default() += 1;
                }
                // The caller is gone. Dropping a live permit here would deadlock on the state's lock.
                Some(Err(mut permit)) => permit.semaphore = None,
                None => {}
            }
            if !queue.is_empty() {
                state.waiting.push_back((client, queue));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes callers that no longer wait.
    fn remove_abandoned(&mut self) {
        for (_, queue) in &mut self.waiting {
            queue.retain(|sender| !sender.is_closed());
        }
        self.waiting.retain(|(_, queue)| !queue.is_empty());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(semaphore) = self.semaphore.take() else {
            return;
        };
        let mut state = semaphore.lock();
        state.available += 1;
        if let Some(held) = state.held.get_mut(&self.client) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(&self.client);
            }
        }
        semaphore.grant(&mut state);
    }
}
