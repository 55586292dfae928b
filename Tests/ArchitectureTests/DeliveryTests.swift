import Foundation
import Testing

/// What is delivered beside the code: the image, the manifests, the settings example, the scripts.
@Suite struct DeliveryTests {
    @Test func dockerfileKeepsTheRules() throws {
        let dockerfile = try #require(Project.text("Dockerfile"))
        #expect(DocumentRules.dockerfileProblems(dockerfile) == [])
    }

    @Test(arguments: [
        ("USER 10001:10001", "", "Dockerfile: it runs as root"),
        ("USER 10001:10001", "USER root", "Dockerfile: it runs as root"),
        (" --static-swift-stdlib", "", "Dockerfile: the Swift runtime is not linked in"),
        ("libpq5", "libpq-dev libpq5", "Dockerfile: the runtime stage installs development packages"),
        ("libmongoc-1.0-0", "", "Dockerfile: the runtime stage lacks a library"),
        ("FROM plain AS dbt", "FROM plain AS more", "Dockerfile: dbt is not the second target, or not the last"),
        ("ENV APP_ENV=production", "ENV JWT_KEY=x", "Dockerfile: a credential is named in ENV or ARG"),
        ("debian:bookworm-slim", "debian:latest", "Dockerfile: the runtime is not debian:bookworm-slim"),
        ("ENTRYPOINT [\"/", "ENTRYPOINT sh -c [\"/", "Dockerfile: there is no ENTRYPOINT in exec form"),
    ])
    func aBadDockerfileIsFound(part: String, replacement: String, problem: String) throws {
        let dockerfile = try #require(Project.text("Dockerfile"))
        #expect(dockerfile.contains(part))
        #expect(DocumentRules.dockerfileProblems(dockerfile.replacing(part, with: replacement)) == [problem])
    }

    @Test func theImageTakesNoSettingsAlong() throws {
        let lines = try #require(Project.text(".dockerignore")).split(separator: "\n")
        let admitted = Set(lines.filter { $0.hasPrefix("!") })
        #expect(lines.contains("*"))
        #expect(
            admitted == ["!Package.swift", "!Package.resolved", "!Sources", "!Tests", "!bin/lib/dbt.requirements.txt"]
        )
    }

    @Test func thereIsASettingsExample() throws {
        let example = try #require(Project.text(".env.example"))
        #expect(example.contains("PRODUCT_SERVICE_MONGODB_URL="))
    }

    @Test func everyScriptSaysWhatItDoes() throws {
        for path in try Project.files(in: "bin").filter({ !$0.hasSuffix(".py") }) + [".ci/run"] {
            var lines = try #require(Project.text(path)).split(separator: "\n")
            if lines.first?.hasPrefix("#!") == true { lines.removeFirst() }
            #expect(lines.first?.hasPrefix("# ") == true, "\(path) does not begin with a line that says what it does")
        }
        for path in ["bin/up", "bin/test", ".ci/run"] {
            #expect(FileManager.default.isExecutableFile(atPath: Project.root.appending(path: path).path))
        }
    }

    // The manifests are checked by a Python program, since the Kubernetes schemas come as a Python package. bin/test
    // sets TEST_PYTHON; where CI is set and it is not, that is a failure and no skip.

    static let environment = ProcessInfo.processInfo.environment
    static let canValidate = environment["TEST_PYTHON"] != nil || environment["CI"] != nil

    @Test(.enabled(if: canValidate, "TEST_PYTHON names no Python with kubernetes-validate; bin/test sets it"))
    func manifestsAreValid() throws {
        let manifests = try Project.files(in: "k8s").filter { !$0.contains("/prometheus-rules.") }
        #expect(manifests.contains("k8s/etl-depl.yml"))
        #expect(manifests.contains("k8s/etl-sync-job.yml"))
        let answer = try validate(manifests, input: "")
        #expect(answer.status == 0, "\(answer.output)")
    }

    @Test(
        .enabled(if: canValidate, "TEST_PYTHON names no Python with kubernetes-validate; bin/test sets it"),
        arguments: [
            ("replicas: 1", "replicas: one", "is not of type 'integer'"),
            ("containerPort: 4000", "containerPorts: 4000", "schema:"),
            ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem is not true"),
            ("path: /api/etl/ready", "path: /api/etl/live", "readinessProbe asks /api/etl/live"),
            ("runAsNonRoot: true", "runAsNonRoot: false", "may run as root"),
            ("SYNC_BATCH_SIZE", "SYNC_BATCHSIZE", "SYNC_BATCHSIZE is not in .env.example"),
            ("terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds"),
            ("args: [\"migrate\", \"up\"]", "args: [\"doctor\"]", "no initContainer runs: tallyman migrate up"),
            ("image: tallyman:0.1.0", "image: tallyman:latest", "image is not pinned to a version"),
        ]
    )
    func aBadManifestIsFound(part: String, replacement: String, problem: String) throws {
        let manifest = try #require(Project.text("k8s/etl-depl.yml"))
        #expect(manifest.contains(part))
        let answer = try validate(["-"], input: manifest.replacing(part, with: replacement))
        #expect(answer.status == 1)
        #expect(answer.output.contains(problem))
    }

    @Test(
        .enabled(if: canValidate, "TEST_PYTHON names no Python with kubernetes-validate; bin/test sets it"),
        arguments: [
            ("completions: 8", "completions: 9", "does not run: sync --shard $(JOB_COMPLETION_INDEX)/9"),
            ("values: [75]", "values: [76]", "exit code 75 is not met with Ignore"),
            ("- type: DisruptionTarget", "- types: DisruptionTarget", "schema:"),
            ("completionMode: Indexed", "completionMode: NonIndexed", "completionMode Indexed"),
            ("action: FailJob", "action: Count", "exit code 2 is not met with FailJob"),
            ("controller-uid", "job-name", "JOB_UID is not the Job's own"),
            ("job: etl-sync", "app: etl", "the Service would send them requests"),
            ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem is not true"),
            ("mountPath: /etc/tallyman", "mountPath: /etc/other", "CONFIG_DIR /etc/tallyman is not mounted"),
        ]
    )
    func aBadJobIsFound(part: String, replacement: String, problem: String) throws {
        let manifest = try #require(Project.text("k8s/etl-sync-job.yml"))
        #expect(manifest.contains(part))
        let answer = try validate(["k8s/etl-depl.yml", "-"], input: manifest.replacing(part, with: replacement))
        #expect(answer.status == 1)
        #expect(answer.output.contains(problem), "\(answer.output)")
    }

    @Test(.enabled(if: canValidate, "TEST_PYTHON names no Python with kubernetes-validate; bin/test sets it"))
    func aFilledInSecretIsFound() throws {
        let example = try #require(Project.text("k8s/etl-secret.example.yml"))
        let filled = example.replacing(#/JWT_KEY: .*/#, with: "JWT_KEY: \"bm90IGEgcGxhY2Vob2xkZXI=\"")
        let answer = try validate(["-"], input: filled)
        #expect(answer.output.contains("JWT_KEY looks like a real secret"))
    }

    private func validate(_ files: [String], input: String) throws -> (status: Int32, output: String) {
        let python = try #require(Self.environment["TEST_PYTHON"], "TEST_PYTHON is not set; run bin/test")
        let process = Process()
        process.executableURL = URL(filePath: python)
        process.arguments = ["bin/lib/validate_manifests.py", ".env.example"] + files
        process.currentDirectoryURL = Project.root
        let (stdin, stdout) = (Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = stdout
        try process.run()
        try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try stdin.fileHandleForWriting.close()
        let output = try stdout.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
