# Reads the output of `cargo test`, prints a table of its suites and, as the last line, `N passed, N failed`.
# Variables: status (cargo's exit code), arguments (the user's, for the remark), wall (seconds that it all took),
# without_kafka (1 when the tests that need Kafka did nothing).

function close_suite() {
    # A program that died printed no result: that is one failure at least.
    if (suite != "" && !reported) {
        failed[suite]++
        died = died "  " suite " ended without a result\n"
    }
    suite = ""
}

function open_suite(name) {
    close_suite()
    suite = name
    reported = 0
    if (!(suite in known)) {
        known[suite] = 1
        order[++suites] = suite
    }
}

# "     Running unittests src/lib.rs (target/debug/deps/tenure_event_log-0123456789abcdef)"
/^ +Running .*\(.*\)$/ {
    program = $NF
    sub(/^.*\//, "", program)
    sub(/-[0-9a-f]+\)$/, "", program)
    open_suite(program " " $(NF - 1))
}

/^ +Doc-tests / { open_suite($2 " documentation") }

/^test result: / && match($0, /[0-9]+ passed; [0-9]+ failed; [0-9]+ ignored/) {
    split(substr($0, RSTART, RLENGTH), count, " ")
    passed[suite] += count[1]
    failed[suite] += count[3]
    ignored[suite] += count[5]
    if (match($0, /finished in [0-9.]+s/)) {
        seconds[suite] += substr($0, RSTART + 12, RLENGTH - 13)
    }
    reported = 1
}

END {
    close_suite()
    printf "\n%-44s %9s %8s %8s %8s\n", "suite", "seconds", "passed", "failed", "ignored"
    for (i = 1; i <= suites; i++) {
        name = order[i]
        if (passed[name] + failed[name] + ignored[name] == 0) {
            continue # a library without tests or examples of its own
        }
        printf "%-44s %9.1f %8d %8d %8d\n", name, seconds[name], passed[name], failed[name], ignored[name]
        all_passed += passed[name]
        all_failed += failed[name]
        all_ignored += ignored[name]
    }
    printf "%-44s %9.1f %8d %8d %8d\n\n%s", "all", wall, all_passed, all_failed, all_ignored, died

    if (all_ignored > 0) {
        print "ignored tests count as failed"
        all_failed += all_ignored
    }
    if (all_passed + all_failed == 0) {
        print "no test ran"
        all_failed = 1
    }
    if (status != 0 && all_failed == 0) {
        print "cargo failed with exit code " status
        all_failed = 1
    }
    if (without_kafka == 1) {
        print "without Kafka (WITHOUT_KAFKA=1): nothing was tried on it"
    }
    if (arguments != "") {
        print "only a part of the suite, chosen by: " arguments
    }
    printf "%d passed, %d failed\n", all_passed, all_failed
    exit all_failed > 0
}
