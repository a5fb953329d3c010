//! One call on libuv's pool.

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{AsyncTask, ToNapiValue, TypeName};
use napi::{Env, Task};
use pb_io::error::Code;

use crate::error::Failure;

type Run<T> = Box<dyn FnOnce() -> Result<T, Failure> + Send>;

/// Blocking work that ends in a promise.
pub struct Work<T>(Option<Run<T>>);

/// Runs `call` on the pool. A panic becomes the error `internal` instead of the end of the process.
pub fn work<T>(call: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> AsyncTask<Work<T>>
where
    T: Send + ToNapiValue + TypeName + 'static,
{
    AsyncTask::new(Work(Some(Box::new(call))))
}

impl<T> Task for Work<T>
where
    T: Send + ToNapiValue + TypeName + 'static,
{
    type Output = Result<T, Failure>;
    type JsValue = T;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let Some(run) = self.0.take() else {
            return Ok(Err(Failure::new(Code::Internal, "work was run twice")));
        };
        // The call owns all it touches; what it shares is behind locks that do not poison.
        Ok(catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(panicked(&*panic))))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<T> {
        output.map_err(|failure| failure.into_js(&env))
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Failure::new(Code::Internal, format!("the engine panicked: {text}"))
}
