import HTTPServer
import HTTPTypes

/// The operator console: one page, one style sheet, one ES module, compiled in.
///
/// The module is kept in several files for its readers and served as one. Nothing is fetched from anywhere else and
/// nothing in the page is inline, so its policy allows this origin and nothing more.
enum ConsolePage {
    static var routes: [APIRoute] {
        let page = StaticAnswer(PackageResources.console_html, type: "text/html; charset=utf-8")
        let style = StaticAnswer(PackageResources.console_css, type: "text/css; charset=utf-8")
        let module = StaticAnswer(
            Array(scripts.joined(separator: [UInt8(ascii: "\n")])),
            type: "text/javascript; charset=utf-8"
        )
        let icon = StaticAnswer(PackageResources.console_svg, type: "image/svg+xml")
        return [
            APIRoute(.get, "/", .open) { page.response(to: $0.request, headers: headers) },
            APIRoute(.get, "/console.css", .open) { style.response(to: $0.request) },
            APIRoute(.get, "/console.js", .open) { module.response(to: $0.request) },
            APIRoute(.get, "/console.svg", .open) { icon.response(to: $0.request) },
        ]
    }

    /// In the order in which they are joined.
    static var scripts: [[UInt8]] {
        [
            PackageResources.words_js, PackageResources.elements_js, PackageResources.plot_js, PackageResources.api_js,
            PackageResources.feed_js, PackageResources.actions_js, PackageResources.overview_js,
            PackageResources.timeline_js, PackageResources.run_js, PackageResources.operate_js,
            PackageResources.main_js,
        ]
    }

    static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ].joined(separator: "; ")

    private static var headers: HTTPFields {
        var headers = HTTPFields()
        for (name, value) in [
            ("Content-Security-Policy", policy), ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ] {
            if let field = HTTPField.Name(name) { headers[field] = value }
        }
        return headers
    }
}
