# Names the measured times that are longer than docs/reliability.md promises, and promises that nothing measured.
BEGIN { promised["failover"] = 15; promised["cancel"] = 2 }
/^measured / {
    kind = $2
    sub(/,$/, "", kind)
    if (!(kind in promised)) next
    text = $0
    sub(/^.* = /, "", text)
    seen[kind]++
    if (text + 0 > promised[kind]) print $0 ": at most " promised[kind] " s are promised"
}
END { for (kind in promised) if (!seen[kind]) print "nothing measured a " kind }
