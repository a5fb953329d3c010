//! A request with content, and the server's answer to it.

use crossbeam_channel::Receiver;

use super::connection::{Connection, NoHead};
use super::head::request;
use super::pool::{Cancel, Pool, broken};
use super::{Asked, Broken, Outcome};
use crate::pump::Memory;

/// What is sent with a request.
pub enum Body {
    /// All of it is here, and can be sent again.
    Whole(Vec<Memory>),
    /// It comes piece by piece, and once: nothing is sent again. It ends when nobody can send any more.
    Stream(Receiver<Piece>),
}

/// Hears of memory whether the connection has taken all of it.
type Then = Box<dyn FnOnce(Vec<Memory>, bool) + Send>;

/// Of a [`Body::Stream`].
pub struct Piece {
    memory: Vec<Memory>,
    then: Option<Then>,
}

impl Piece {
    pub fn new(
        memory: Vec<Memory>,
        then: impl FnOnce(Vec<Memory>, bool) + Send + 'static,
    ) -> Piece {
        Piece {
            memory,
            then: Some(Box::new(then)),
        }
    }

    fn end(&mut self, is_taken: bool) {
        if let Some(then) = self.then.take() {
            then(std::mem::take(&mut self.memory), is_taken);
        }
    }
}

/// One that nobody sends is heard of, too.
impl Drop for Piece {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// A request with content, whose length its headers tell.
pub struct Upload {
    pub asked: Asked,
    pub body: Body,
}

impl Pool {
    pub fn upload(&self, upload: &mut Upload, cancel: &Cancel) -> Outcome {
        let outcome = self.try_upload(upload, cancel);
        cancel.ended(outcome.unwrap_or_else(|outcome| outcome))
    }

    fn try_upload(
        &self,
        Upload { asked, body }: &mut Upload,
        cancel: &Cancel,
    ) -> Result<Outcome, Outcome> {
        let head = request(asked).map_err(|e| Outcome::Unsuited(e.to_string()))?;
        let can_repeat = matches!(body, Body::Whole(_));
        let ask = |connection: &mut Connection| {
            let is_sent = self.put(connection, &head, body)?;
            Ok((connection.head()?, is_sent))
        };
        let (mut connection, (parsed, is_sent)) =
            self.exchange(&asked.origin, (cancel, can_repeat), ask)?;
        if !is_sent && parsed.head.status < 300 {
            // It has not got what it says it has.
            return Err(Outcome::Broken(Broken::Lost));
        }
        let text = match self.text(&mut connection, parsed.framing) {
            // Whoever answers before it has all closes, and takes the end of its words with it.
            Err(_) if !is_sent => Vec::new(),
            text => text.map_err(|e| broken(&e))?,
        };
        cancel.unwatch();
        if is_sent && parsed.keeps_after_text() && !cancel.is_cancelled() {
            self.keep(&asked.origin, connection);
        }
        Ok(Outcome::Answered(parsed.head, text))
    }

    /// False: the server has answered before it had all.
    fn put(&self, connection: &mut Connection, head: &[u8], body: &Body) -> Result<bool, NoHead> {
        let patience = self.options.head;
        connection.patience(patience).map_err(NoHead::Nothing)?;
        connection.send(head).map_err(NoHead::Nothing)?;
        let send = |connection: &mut Connection, memory: &[Memory]| {
            for piece in memory {
                if !connection.send_content(piece.bytes(), patience)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match body {
            Body::Whole(memory) => send(connection, memory),
            Body::Stream(pieces) => {
                for mut piece in pieces {
                    let is_sent = send(connection, &piece.memory)?;
                    piece.end(is_sent);
                    if !is_sent {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}
