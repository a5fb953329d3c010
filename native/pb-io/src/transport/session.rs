//! What every lane of a session needs: keys, options, the host, the owner's orders.

use std::sync::Arc;

use super::control::Control;
use super::crypto::{Direction, KeySchedule, Medium, OpenKeys, SealKeys, Secret, SessionKeys};
use super::{LaneHost, LaneOptions};
use crate::error::Code;
use crate::transport::TransportError;

/// Shared by the lanes of one session on one side.
#[derive(Clone)]
pub(crate) struct Session {
    pub connection_id: u64,
    pub client: bool,
    secret: Arc<Secret>,
    pub options: Arc<LaneOptions>,
    pub host: Arc<dyn LaneHost>,
    pub control: Arc<Control>,
}

impl Session {
    pub(crate) fn new(
        client: bool,
        keys: &SessionKeys,
        options: &LaneOptions,
        host: Arc<dyn LaneHost>,
    ) -> Result<Session, TransportError> {
        if options.lanes == 0 || options.lanes > MAX_LANES {
            let message = format!(
                "a session has 1 to {MAX_LANES} lanes, not {}",
                options.lanes
            );
            return Err(TransportError::new(Code::InvalidArgument, message));
        }
        Ok(Session {
            connection_id: keys.connection_id,
            client,
            secret: Arc::new(Secret::of(keys)),
            options: Arc::new(options.clone()),
            host,
            control: Control::new(),
        })
    }

    fn schedule(&self, medium: Medium, lane: u8, by_client: bool) -> KeySchedule {
        let direction = if by_client {
            Direction::ClientToServer
        } else {
            Direction::ServerToClient
        };
        KeySchedule {
            secret: self.secret.clone(),
            direction,
            medium,
            lane,
        }
    }

    /// The keys for what this side sends on a lane.
    pub(crate) fn seal_keys(&self, medium: Medium, lane: u8) -> SealKeys {
        SealKeys::new(self.schedule(medium, lane, self.client))
    }

    /// The keys for what the peer sends on a lane.
    pub(crate) fn open_keys(&self, medium: Medium, lane: u8) -> OpenKeys {
        OpenKeys::new(self.schedule(medium, lane, !self.client))
    }
}

/// Most lanes of a session: each costs a thread and a socket on both sides.
pub const MAX_LANES: u8 = 64;
