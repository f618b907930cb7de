//! The control plane's runtime.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Threads of the control plane at most: sign-ins are few, and the data plane has its own. Where there is one core, a
/// second one would only cost switches between them.
const THREADS: usize = 2;
/// How much nicer than the data plane they are (setpriority(2)). Where both want a core, nine tenths of it are the data
/// plane's, and a request that has just come does not wait behind a renewal; where there is room nothing changes.
const NICER: i32 = 10;
/// The lowest priority that there is.
const NICEST: i32 = 19;

/// A runtime for [`assemble`](super::assemble) and [`start`](super::start). Its threads, and those that they start in
/// turn, give way to the data plane; the thread that blocks on it does not.
///
/// # Errors
/// The system gives no thread or no event queue.
pub fn control_runtime() -> io::Result<Runtime> {
    let threads = std::thread::available_parallelism().map_or(THREADS, |cores| cores.get().min(THREADS));
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name("control").on_thread_start(give_way).enable_all().build()
}

/// Lowers the calling thread's priority: Linux counts it by thread. Where that is not allowed all are equal.
fn give_way() {
    let lowered = |nice: i32| rustix::process::setpriority_process(None, nice.saturating_add(NICER).min(NICEST));
    rustix::process::getpriority_process(None).and_then(lowered).ok();
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn the_control_plane_gives_way_and_what_it_does_not_start_does_not() {
        let before = getpriority_process(None).unwrap();
        let lower = (before + NICER).min(NICEST);
        let runtime = control_runtime().unwrap();
        runtime.block_on(async {
            let own = || getpriority_process(None).unwrap();
            assert_eq!(tokio::spawn(async move { own() }).await.unwrap(), lower);
            assert_eq!(tokio::task::spawn_blocking(own).await.unwrap(), lower);
            let started = async move { std::thread::spawn(own).join().unwrap() };
            assert_eq!(tokio::spawn(started).await.unwrap(), lower, "as those that a database starts");
            assert_eq!(own(), before);
            assert_eq!(std::thread::spawn(own).join().unwrap(), before, "as those of the data plane");
        });
    }
}
