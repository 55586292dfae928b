import Foundation

/// A PostgreSQL cluster of this test process's own, for a test run without `bin/test`.
///
/// A shell owns it: it makes the cluster, and when its standard input ends, which it does however this process ends,
/// it stops the server and removes the files.
enum PrivateCluster {
    /// The superuser's URL of the one cluster; started by the first call, which takes some seconds.
    static func url() throws -> String { try started.get().url }

    private static let started: Result<(shell: ChildProcess, url: String), any Error> = Result { try start() }

    private static func start() throws -> (shell: ChildProcess, url: String) {
        let port = try Sockets.freePort()
        let shell = try ChildProcess("sh", ["-c", script, "private-cluster", "\(port)"])
        let up = shell.progress.waitBlocking(within: .seconds(60)) {
            $0.exit != nil || $0.outputText.contains("ready")
        }
        guard up, shell.progress.value.exit == nil else {
            throw TestServiceMissing("no PostgreSQL could be started: \(shell.progress.value.errorText)")
        }
        return (shell, "postgresql://postgres@127.0.0.1:\(port)/postgres")
    }

    private static let script = """
        set -eu
        bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
        folder=$(mktemp -d)
        as=
        if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; as='runuser -u postgres --'; fi
        stop() {
            trap '' EXIT
            cd / && $as "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
            rm -rf "$folder"
        }
        trap stop EXIT
        trap '' INT TERM HUP
        cd /
        log=$folder.log
        $as "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >"$log" 2>&1 \
            || { cat "$folder.log" >&2; rm -f "$folder.log"; exit 1; }
        rm -f "$folder.log"
        $as "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 -o "-p $1 -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off -c full_page_writes=off -c max_connections=300 -c timezone=UTC" \
            start >/dev/null 2>&1 </dev/null || { cat "$folder/log" >&2; exit 1; }
        echo ready
        cat >/dev/null || true
        """
}
