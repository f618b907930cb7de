//! The socket itself, and a client that meets something else there.

use super::*;

#[tokio::test]
async fn the_socket_is_private_and_gone_at_the_end() {
    let running = running().await;
    assert_eq!(mode(&running.path), 0o600);
    let dir = running.path.parent().unwrap();
    assert_eq!((mode(dir), names(dir)), (0o700, vec!["admin.sock".to_owned()]), "nothing else is left there");
    running.client.status().await.unwrap();
    running.task.abort();
    assert!(running.task.await.unwrap_err().is_cancelled());
    assert_eq!(names(dir), Vec::<String>::new());
    let error = running.client.status().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::NobodyThere { .. }), "{text}");
    assert!(text.contains(running.path.to_str().unwrap()) && text.contains("--socket"), "{text}");
}

#[tokio::test]
async fn a_living_process_keeps_its_socket_and_a_dead_ones_is_replaced() {
    let living = running().await;
    let error = Socket::bind(&living.path).await.unwrap_err();
    assert!(matches!(error, SocketError::InUse { .. }) && error.to_string().contains("ops.admin_socket"), "{error}");
    living.client.status().await.unwrap();
    let configured = |is_written| AdminSocket { path: living.path.clone(), is_written };
    assert!(open(&configured(true)).await.is_err());
    assert!(open(&configured(false)).await.unwrap().is_none(), "the default place is no reason not to start");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    // What a process that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = Socket::bind(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_older_process_does_not_remove_the_socket_of_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let older = Socket::bind(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let newer = Socket::bind(&path).await.unwrap();
    drop(older);
    assert!(path.exists());
    drop(newer);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_no_socket_is_never_replaced_and_a_long_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    std::fs::write(&path, "mine").unwrap();
    let configured = |path: &Path| AdminSocket { path: path.to_owned(), is_written: true };
    for error in [Socket::bind(&path).await.unwrap_err(), check(&configured(&path)).unwrap_err()] {
        assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
    }
    assert!(path.is_file());
    let long = dir.path().join("a".repeat(108));
    for error in [Socket::bind(&long).await.unwrap_err(), check(&configured(&long)).unwrap_err()] {
        assert!(matches!(error, SocketError::TooLong { .. }) && error.to_string().contains("107"), "{error}");
    }
    // The longest that fits is one that works.
    let room = AdminSocket::MAX_DIR - dir.path().as_os_str().len() - 1;
    let longest = dir.path().join("d".repeat(room)).join("s".repeat(AdminSocket::MAX - AdminSocket::MAX_DIR - 1));
    assert_eq!(longest.as_os_str().len(), AdminSocket::MAX);
    check(&configured(&longest)).unwrap();
    assert!(!longest.parent().unwrap().exists(), "check writes nothing");
    Socket::bind(&longest).await.unwrap();
    // Not even root can write there.
    assert!(matches!(check(&configured(Path::new("/proc/self/s"))).unwrap_err(), SocketError::Io { .. }));
    assert!(matches!(Socket::bind(Path::new("/proc/self/s")).await.unwrap_err(), SocketError::Io { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go() {
    let running = running().await;
    let mut silent = UnixStream::connect(&running.path).await.unwrap();
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
    let mut slow = UnixStream::connect(&running.path).await.unwrap();
    slow.write_all(b"POST /sessions/revoke HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(running.notes.taken(), Vec::<String>::new());
}

#[tokio::test]
async fn something_else_at_the_other_end_is_said_to_be_that() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    for answer in ["SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ""] {
        let client = Client::new(&path);
        let (asked, served) = tokio::join!(client.status(), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let () = served;
        assert!(matches!(asked.unwrap_err(), ClientError::Broken { .. }), "{answer:?}");
    }
}

/// The command was killed, and its server stops too: what was begun is still noted.
#[tokio::test]
async fn a_change_is_noted_although_nobody_waits_for_it() {
    let run = running().await;
    let order = json!({ "user": SLOW }).to_string();
    let mut stream = UnixStream::connect(&run.path).await.unwrap();
    let head = format!("POST /sessions/revoke HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", order.len());
    stream.write_all((head + &order).as_bytes()).await.unwrap();
    while run.notes.taken().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    run.task.abort();
    while !run.task.is_finished() {
        tokio::task::yield_now().await;
    }
    run.notes.1.notify_one();
    let mut events = run.events();
    for _ in 0..10_000 {
        if !events.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
        events = run.events();
    }
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["reason"], &events[0]["ended"]), (&json!("sessions_revoked"), &json!("2")));
}
