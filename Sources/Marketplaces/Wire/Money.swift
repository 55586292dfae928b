package import Foundation
import Runtime

/// An exact amount with its currency. Foundation's Decimal holds 38 decimal digits in base ten; no binary float is on
/// the way.
package struct Money: Sendable, Hashable {
    package var amount: Decimal
    package let currency: String

    package init(_ amount: Decimal, _ currency: String) {
        self.amount = amount
        self.currency = currency
    }

    /// Reads decimal text and a currency of three capital letters.
    ///
    /// Throws `.recordMalformed` for an amount without currency, or that is no decimal of at most 30 digits.
    package init(text: String?, currency: String?) throws {
        guard let currency, currency.utf8.count == 3, currency.utf8.allSatisfy({ (0x41...0x5A).contains($0) }) else {
            throw TallyError(.recordMalformed, during: "wire.money", "an amount has no currency")
        }
        self.init(try Self.decimal(text), currency)
    }

    /// `{amount, currencyCode}` of Shopify and of Amazon's orders and listings, `{currencyAmount, currencyCode}` of
    /// its finances.
    package init(_ json: WireJSON) throws {
        try self.init(text: json["amount"].text ?? json["currencyAmount"].text, currency: json["currencyCode"].string)
    }

    /// The digits behind the point that the currency is paid in (ISO 4217).
    package static func digits(of currency: String) -> Int16 {
        switch currency {
        case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
            "XOF", "XPF":
            0
        case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND": 3
        default: 2
        }
    }

    package static func decimal(_ text: String?) throws -> Decimal {
        let refused = TallyError(.recordMalformed, during: "wire.money", "an amount is no decimal number")
        guard let text, isDecimal(text), let value = Decimal(string: text, locale: Locale(identifier: "en_US_POSIX")),
            !value.isNaN
        else { throw refused }
        return value
    }

    private static func isDecimal(_ text: String) -> Bool {
        var digits = 0
        var exponentDigits = 0
        var points = 0
        var inExponent = false
        var previous: UInt8 = 0
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39: if inExponent { exponentDigits += 1 } else { digits += 1 }
            case UInt8(ascii: "."): points += inExponent ? 2 : 1
            case UInt8(ascii: "-"), UInt8(ascii: "+"):
                guard previous == 0 || previous | 0x20 == UInt8(ascii: "e") else { return false }
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard !inExponent, digits > 0 else { return false }
                inExponent = true
            default: return false
            }
            previous = byte
        }
        return (1...30).contains(digits) && points <= 1 && (!inExponent || (1...2).contains(exponentDigits))
    }
}

extension Decimal {
    /// Plain decimal text, exact.
    var exactText: String { description }
}
