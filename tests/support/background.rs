//! Background work of a shop in process, which tests run on demand.

use std::{sync::Arc, time::Duration};

use shop::{
    domain::{
        accounts,
        media::{self, worker::DeleteImage},
        notifications::worker::SendMail,
        settlement::{CreateProviderOrder, SendRefund},
    },
    infra::{
        jobs::{self, Handler},
        ports::MailMessage,
    },
};
use tokio::sync::{mpsc, oneshot};

use super::TestShop;

impl TestShop {
    /// Blocks all slots of the hash pool until the result is dropped.
    pub(crate) async fn block_hash_pool(&self) -> Vec<oneshot::Sender<()>> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let slots = accounts::hashing_slots(cores);
        let (started, mut starts) = mpsc::unbounded_channel();
        let mut releases = Vec::new();
        for _ in 0..slots {
            let (release, gate) = oneshot::channel::<()>();
            let (app, started) = (Arc::clone(&self.app), started.clone());
            releases.push(release);
            tokio::spawn(async move {
                let work = move |_: &mut _| {
                    started.send(()).unwrap();
                    drop(gate.blocking_recv());
                    Ok(())
                };
                app.hash_pool.run_with(work).await
            });
        }
        for _ in 0..slots {
            starts.recv().await.unwrap();
        }
        releases
    }

    /// Runs the jobs of a kind that are due. Returns the number of attempts.
    async fn run_due<H: Handler>(&self, handler: H) -> usize {
        let handler = Arc::new(handler);
        let mut attempts = 0;
        loop {
            match jobs::run_due(&self.app.db, &handler).await.unwrap() {
                0 => return attempts,
                more => attempts += more,
            }
        }
    }

    /// Sends the emails that are due. Returns the number of attempts.
    pub(crate) async fn send_due_emails(&self) -> usize {
        self.run_due(SendMail(Arc::clone(&self.app))).await
    }

    /// Sends the requests to the payment provider that are due.
    pub(crate) async fn send_due_requests(&self) {
        self.run_due(CreateProviderOrder(Arc::clone(&self.app)))
            .await;
        self.run_due(SendRefund(Arc::clone(&self.app))).await;
    }

    /// Sends the emails that are due. Returns all emails sent so far.
    pub(crate) async fn sent_emails(&self) -> Vec<MailMessage> {
        self.send_due_emails().await;
        self.mailer.sent()
    }

    /// Runs the image deletions that are due. Returns the number of attempts.
    pub(crate) async fn delete_due_images(&self) -> usize {
        self.run_due(DeleteImage::new(Arc::clone(&self.app))).await
    }

    /// Queues the deletion of orphaned images. Returns their number.
    pub(crate) async fn delete_orphaned_images(&self) -> usize {
        media::worker::delete_orphans(&self.app, Duration::ZERO)
            .await
            .unwrap()
    }

    /// Returns the token of the newest email with a link to this address.
    pub(crate) async fn emailed_token(&self, to: &str) -> String {
        let emails = self.sent_emails().await;
        let email = emails
            .iter()
            .rfind(|email| email.to == to && email.link.is_some());
        let link = email.and_then(|email| email.link.clone()).unwrap();
        link.split_once("#token=").unwrap().1.to_owned()
    }
}
