// swift-tools-version: 6.2
import PackageDescription

let house: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]
/// Every target but the four wrappers around C: unmarked pointer code does not build.
let safe = house + [.strictMemorySafety()]

/// What an idle daemon holds is mostly pages of its own file: relocations packed, which takes the glibc 2.36 of Debian 12,
/// no table of symbols that nobody looks up, and what it calls side by side. docs/hot-path.md has the gains.
let small = LinkerSetting.unsafeFlags(
    ["-use-ld=lld"]
        + [
            "-z", "pack-relative-relocs", "--no-export-dynamic", "--no-warn-symbol-ordering",
            "--symbol-ordering-file=\(Context.packageDirectory)/Sources/Tallyman/link-order.txt",
        ].flatMap { ["-Xlinker", $0] },
    .when(platforms: [.linux], configuration: .release)
)

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let jwt = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestKit"], resources: resources, swiftSettings: house)
}

let package = Package(
    name: "tallyman",
    platforms: [.macOS(.v26)],
    products: [.executable(name: "tallyman", targets: ["Tallyman"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CLibMongoC", pkgConfig: "libmongoc-1.0", providers: [.apt(["libmongoc-dev"])]),
        .systemLibrary(name: "CLibC"),
        .systemLibrary(name: "CLibZ", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLibZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "Runtime", swiftSettings: safe),
        .target(name: "StreamCompression", dependencies: ["CLibZ", "CLibZstd", "Runtime"], swiftSettings: house),
        .target(name: "Cron", swiftSettings: safe),
        .target(name: "HTTPWire", dependencies: [httpTypes], swiftSettings: safe),
        .target(name: "Telemetry", dependencies: ["Runtime", log, coreMetrics, metrics], swiftSettings: safe),
        .target(
            name: "HTTPServer",
            dependencies: ["CLibC", "HTTPWire", "Runtime", "Telemetry", log, coreMetrics, metrics, lifecycle, httpTypes],
            swiftSettings: house
        ),
        .target(name: "Postgres", dependencies: ["CLibPQ", "Runtime", "Telemetry", log], swiftSettings: house),
        .target(name: "Mongo", dependencies: ["CLibMongoC", "Runtime", "Telemetry", log], swiftSettings: house),
        .target(name: "ConfigFile", dependencies: ["Runtime", yams], swiftSettings: safe),
        .target(name: "HTTPClient", dependencies: ["Runtime"], swiftSettings: safe),
        .target(
            name: "Engine",
            dependencies: ["Cron", "Postgres", "Runtime", "Telemetry", log, metrics, lifecycle, crypto],
            resources: [.embedInCode("Migrations")],
            swiftSettings: safe
        ),
        .target(
            name: "ProductSync",
            dependencies: [
                "ConfigFile", "Engine", "Mongo", "Postgres", "Runtime", "Telemetry", log, metrics, yams, crypto,
            ],
            swiftSettings: safe
        ),
        .target(
            name: "Retail",
            dependencies: [
                "Engine", "HTTPClient", "Postgres", "Runtime", "StreamCompression", "Telemetry", log, metrics, crypto,
                subprocess, system,
            ],
            resources: [.embedInCode("Migrations"), .embedInCode("dbt")],
            swiftSettings: safe
        ),
        .target(
            name: "RetailMock",
            dependencies: ["HTTPServer", "HTTPWire", "Runtime", httpTypes],
            swiftSettings: safe
        ),
        .target(
            name: "TableExport",
            dependencies: ["ConfigFile", "Engine", "Postgres", "Runtime", "Telemetry", log, metrics, yams],
            resources: [.embedInCode("Migrations")],
            swiftSettings: safe
        ),
        .target(
            name: "Alerts",
            dependencies: ["Engine", "HTTPClient", "Postgres", "Runtime", "Telemetry", log, metrics, crypto],
            swiftSettings: safe
        ),
        .target(
            name: "Analytics",
            dependencies: ["Engine", "Postgres", "Runtime", "Telemetry", log, metrics, crypto],
            resources: [.embedInCode("Migrations"), .embedInCode("SQL")],
            swiftSettings: safe
        ),
        .target(
            name: "Marketplaces",
            dependencies: ["Engine", "HTTPClient", "Postgres", "Runtime", "Telemetry", log, metrics, crypto],
            resources: [.embedInCode("Migrations")],
            swiftSettings: safe
        ),
        .target(
            name: "API",
            dependencies: [
                "Engine", "StreamCompression", "HTTPServer", "HTTPWire", "Runtime", "Telemetry", log, metrics, httpTypes, jwt, crypto,
            ],
            resources: [.embedInCode("OpenAPI"), .embedInCode("Console")],
            swiftSettings: safe
        ),
        .executableTarget(
            name: "Tallyman",
            dependencies: [
                "API", "Alerts", "Analytics", "CLibC", "ConfigFile", "Cron", "Engine", "HTTPClient", "HTTPServer", "HTTPWire",
                "Marketplaces", "Mongo", "Postgres", "ProductSync", "Retail", "RetailMock", "Runtime", "TableExport",
                "Telemetry", log, metrics, lifecycle, jwt, yams, httpTypes,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
            ],
            exclude: ["link-order.txt"],
            swiftSettings: safe,
            linkerSettings: [small]
        ),
        .target(name: "TestKit", dependencies: ["Runtime"], path: "Tests/TestKit", swiftSettings: house),
        .executableTarget(
            name: "MongoStandIn",
            dependencies: ["TestKit"],
            path: "Tests/MongoStandIn",
            swiftSettings: house
        ),
        .executableTarget(
            name: "HotPath",
            dependencies: ["HTTPServer", "HTTPWire", "Mongo", "Postgres", "ProductSync", httpTypes],
            path: "Benchmarks/HotPath",
            exclude: ["counts.txt"],
            swiftSettings: house
        ),
        tests("HTTPClientTests", ["HTTPClient", "Runtime"]),
        tests("RuntimeTests", ["Runtime"]),
        tests("AlertsTests", ["Alerts", "Engine", "HTTPClient", "Postgres", "Runtime", log, crypto]),
        tests("ConfigFileTests", ["ConfigFile", "Runtime", yams]),
        tests("CronTests", ["Cron"]),
        tests("HTTPWireTests", ["HTTPWire", httpTypes]),
        tests(
            "HTTPServerTests",
            ["HTTPServer", "HTTPWire", "Runtime", "Telemetry", httpTypes, log, lifecycle, coreMetrics]
        ),
        tests("PostgresTests", ["Postgres", "Runtime"]),
        tests("MongoTests", ["Mongo", "Runtime"]),
        tests("TelemetryTests", ["Telemetry", "Runtime", log, metrics]),
        tests("EngineTests", ["Engine", "Cron", "Postgres", "Runtime", "Telemetry", log]),
        tests("ProductSyncTests", ["ProductSync", "Engine", "Mongo", "Postgres", "Runtime"]),
        tests(
            "MarketplacesTests",
            ["Marketplaces", "Engine", "HTTPClient", "Postgres", "Runtime", log, crypto],
            resources: [.copy("Fixtures")]
        ),
        tests(
            "APITests",
            [
                "API", "Cron", "Engine", "StreamCompression", "HTTPServer", "HTTPWire", "Runtime", "Telemetry", httpTypes,
                jwt, log,
            ]
        ),
        tests("TallymanTests", ["Tallyman", "API", "Cron", "HTTPServer", "HTTPWire", "Mongo", "Runtime", yams]),
        tests("StreamCompressionTests", ["StreamCompression", "Runtime"]),
        tests(
            "RetailTests",
            [
                "Retail", "RetailMock", "Engine", "HTTPClient", "HTTPServer", "Postgres", "Runtime", "Tallyman",
                "Telemetry", httpTypes, log,
            ]
        ),
        tests("RetailMockTests", ["RetailMock", "HTTPServer", "Runtime", httpTypes, log]),
        tests("AnalyticsTests", ["API", "Analytics", "Engine", "Postgres", "Runtime", "Tallyman", log]),
        tests("TableExportTests", ["TableExport", "ConfigFile", "Engine", "Postgres", "Runtime", "Telemetry", log]),
        tests("IntegrationTests", ["ProductSync", "Engine", "Mongo", "Postgres", "Runtime", "Telemetry", log]),
        tests("CrashTests", ["Engine", "Mongo", "Postgres", "ProductSync", "Runtime", "Tallyman", log]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["API", "Mongo", "Runtime", "Tallyman", "TestKit", jwt],
            exclude: ["Browser"],
            swiftSettings: house
        ),
        tests("ArchitectureTests", []),
    ]
)

// bin/test builds the HTTP layers alone under the sanitizers: what they do not import need not be built once more.
if Context.environment["TALLYMAN_SLICE"] == "http" {
    let slice: Set = [
        "CLibC", "Runtime", "Telemetry", "HTTPWire", "HTTPServer", "TestKit", "HTTPWireTests", "HTTPServerTests",
    ]
    package.products = []
    package.targets.removeAll { !slice.contains($0.name) }
}
