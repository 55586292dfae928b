import Glibc

// One piece of work, again and again, on inputs that never change:
//
//     HotPath encode|merge|parse|route TIMES
//
// bin/check counts its instructions under callgrind. It prints what came out, so that nothing is optimised away and a
// piece that silently does less is seen.

func work(_ name: String, _ times: Int) throws -> Int? {
    switch name {
    case "encode": try SyncWork().encode(documents: times)
    case "merge": try SyncWork().merge(rows: times)
    case "parse": try HTTPWork().parse(heads: times)
    case "route": HTTPWork().route(requests: times)
    default: nil
    }
}

let words = CommandLine.arguments
if words.count == 3, let times = Int(words[2]), times > 0, let result = try work(words[1], times) {
    print("\(words[1]) \(times): \(result)")
} else {
    print("usage: HotPath encode|merge|parse|route TIMES")
    exit(2)
}
