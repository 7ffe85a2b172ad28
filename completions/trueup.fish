# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_trueup_global_optspecs
    string join \n v/verbose q/quiet h/help V/version
end

function __fish_trueup_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_trueup_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_trueup_using_subcommand
    set -l cmd (__fish_trueup_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c trueup -n "__fish_trueup_needs_command" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_needs_command" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_needs_command" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_needs_command" -s V -l version -d 'Print version'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "replay" -d 'Rebuild a view from the log'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "reconcile" -d 'Repair read tables from the primary; a dry run unless --apply'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "verify" -d 'Compare read tables with the primary; writes nothing'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "explain" -d 'Say why rows are as they are: what primary, log and read store say of some keys; writes nothing'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "plan" -d 'Put the three strategies side by side for each view, now, and recommend one; writes nothing'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "lag" -d 'Say how far the log is behind the primary, and the projector behind the log; writes nothing'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "doctor" -d 'Look for what will cause the next drift; writes nothing, and exits with 1 when something has to be done'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "snapshot" -d 'Make, check, list and remove snapshots'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "runs" -d 'List what trueup has written into a read store, oldest first'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "quarantine" -d 'Records that could not be applied: list them, read them again, or do without them'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "undo" -d 'Take the repairs of a run back, each only while its row is as the repair left it'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "rollback" -d 'Bring the table that a swap put aside back, caught up with the log since'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "init" -d 'Write a first playbook by looking at both databases and the broker'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "demo" -d 'Build a small system with planted drift, find it, repair it'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c trueup -n "__fish_trueup_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and not __fish_seen_subcommand_from big-bang partial help" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and not __fish_seen_subcommand_from big-bang partial help" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and not __fish_seen_subcommand_from big-bang partial help" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and not __fish_seen_subcommand_from big-bang partial help" -f -a "big-bang" -d 'Rebuild views from offset zero in shadows, check them against the primary, and swap them in together'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and not __fish_seen_subcommand_from big-bang partial help" -f -a "partial" -d 'Apply only what the log has since a snapshot, or since some offsets'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and not __fish_seen_subcommand_from big-bang partial help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l until -d 'Read only up to a time (RFC 3339) or to offsets (`topic:partition:offset,…`); implies --no-swap' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l cutover-file -d 'Swap only when this file is gone; until then, keep the shadows up to date' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l on-bad -d 'What becomes of a record that cannot be applied: it stops the run, or is kept in quarantine and blocks its key' -r -f -a "stop\t'It stops the run'
quarantine\t'It is kept, and its key is blocked: its row comes from the primary, or stays as it was'"
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l no-swap -d 'Build the shadows and leave them beside the live tables'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l no-check -d 'Do not compare the shadows with the primary before the swap'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l accept-holes -d 'Swap though keys are blocked by records in quarantine, and the primary does not say what their rows are'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l hand-over -d 'Bring the tables to the end of the log, and set the offsets of the projector\'s group to it: for a projector that cannot get there; only when all that its group reads is in this replay'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l dry-run -d 'Print the plan and stop'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from big-bang" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l snapshot -d 'Begin from a snapshot: `latest`, or its id' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l from-offsets -d 'Begin at these offsets (`topic:partition:offset,…`), in place; partitions that are not named are not read' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l from-time -d 'Begin at a time (RFC 3339), in place' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l until -d 'Read only up to a time (RFC 3339) or to offsets (`topic:partition:offset,…`); implies --no-swap' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l cutover-file -d 'Swap only when this file is gone; until then, keep the shadows up to date' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l keys -d 'In place: only these keys: `7,13`, JSON such as `[[1,"a"]]`, or @FILE with one a line; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l where -d 'In place: only keys whose row in the log or in the table passes, written as `where:` of a playbook' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l on-bad -d 'What becomes of a record that cannot be applied: it stops the run, or is kept in quarantine and blocks its key' -r -f -a "stop\t'It stops the run'
quarantine\t'It is kept, and its key is blocked: its row comes from the primary, or stays as it was'"
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l no-swap -d 'Build the shadows and leave them beside the live tables'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l no-check -d 'Do not compare the shadows with the primary before the swap'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l accept-holes -d 'Swap though keys are blocked by records in quarantine, and the primary does not say what their rows are'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l hand-over -d 'Bring the tables to the end of the log, and set the offsets of the projector\'s group to it: for a projector that cannot get there; only when all that its group reads is in this replay'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l unverified -d 'Begin from a snapshot though it is not known to be good'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l dry-run -d 'Print the plan and stop'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from partial" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from help" -f -a "big-bang" -d 'Rebuild views from offset zero in shadows, check them against the primary, and swap them in together'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from help" -f -a "partial" -d 'Apply only what the log has since a snapshot, or since some offsets'
complete -c trueup -n "__fish_trueup_using_subcommand replay; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l cause -d 'Only differences of this cause (implies --explain); may be repeated' -r -f -a "skipped\t''
time_travel\t''
resurrected\t''
off_history\t''
miscomputed\t''
not_newest\t''
lost_event\t''
unexplained\t''"
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l include -d 'Also differences of this cause, whose evidence does not agree (implies --explain); may be repeated' -r -f -a "skipped\t''
time_travel\t''
resurrected\t''
off_history\t''
miscomputed\t''
not_newest\t''
lost_event\t''
unexplained\t''"
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l out -d 'Save the plan; it holds rows of the table' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l plan -d 'Take the plan that --out saved: what has changed since is left alone' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l kind -d 'Only differences of this kind; may be repeated' -r -f -a "missing\t'Expected, but not there'
extra\t'There, but not expected'
changed\t'There, with other values'"
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l keys -d 'Only these keys: `7,13`, JSON such as `[[1,"a"]]`, or @FILE with one a line; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l where -d 'Only keys whose expected or actual row passes, written as `where:` of a playbook: `state: [open, frozen]`' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l column -d 'Of changed rows, only this column; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l repairs-max -d 'Repairs at most, a number or a percentage of the rows [default: limits.repairs_max of the playbook, else 10%, at least 1000]' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l deletes-max -d 'Deletes among them at most [default: limits.deletes_max of the playbook, else 1000]' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l lag-wait -d 'How long to wait for lag to pass, `90s` for example' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l report -d 'Write a page about it, to attach to an incident (implies --explain); values only with --show-values' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l show -d 'Differences shown at most' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l apply -d 'Write the repairs, after a question'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l explain -d 'Ask the log why rows differ, and leave alone those whose evidence does not agree'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l allow-shrink -d 'Go on though the primary has less than half of the read table\'s rows'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l no-hash -d 'Merge every row instead of comparing hashes first'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -l show-values -d 'Show values of differing columns, not only keys and column names'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand reconcile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l lag-wait -d 'How long to wait for lag to pass, `90s` for example' -r
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l time-budget -d 'End after this time, whatever is not decided by then; `10m` for example' -r
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l sample -d 'Percent of the rows that agree to look at too, since a replay may break them: 1 without this, which implies --explain' -r
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l report -d 'Write a page about it, to attach to an incident (implies --explain); values only with --show-values' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l metrics-file -d 'Also write metrics to this file, as OpenMetrics text for a textfile collector; it is replaced in one step' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l show-values -d 'Show values of differing columns, not only keys and column names'
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l no-hash -d 'Merge every row instead of comparing hashes first'
complete -c trueup -n "__fish_trueup_using_subcommand verify" -l explain -d 'Say why rows differ: read the log for their keys'
complete -c trueup -n "__fish_trueup_using_subcommand verify" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand verify" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand explain" -l view -d 'The view; may be left out where the playbook has one' -r
complete -c trueup -n "__fish_trueup_using_subcommand explain" -l key -l keys -d 'The keys: `7,13`, JSON such as `[[1,"a"]]`, or @FILE with one a line; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand explain" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand explain" -l lag-wait -d 'How long to wait for the log to have what the primary has, `90s` for example' -r
complete -c trueup -n "__fish_trueup_using_subcommand explain" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand explain" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand explain" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand explain" -l show-values -d 'Show values of columns, not only keys and column names'
complete -c trueup -n "__fish_trueup_using_subcommand explain" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand explain" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand plan" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand plan" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand plan" -l lag-wait -d 'How long to wait for lag to pass, `90s` for example' -r
complete -c trueup -n "__fish_trueup_using_subcommand plan" -l sample -d 'Percent of the rows that agree to look at too, since a replay may break them' -r
complete -c trueup -n "__fish_trueup_using_subcommand plan" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand plan" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand plan" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand plan" -l quick -d 'Compare nothing and look for no causes: only predict what each strategy would take'
complete -c trueup -n "__fish_trueup_using_subcommand plan" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand plan" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand lag" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand lag" -l max-events -d 'Exit with 1 when more events than this are not applied' -r
complete -c trueup -n "__fish_trueup_using_subcommand lag" -l max-time -d 'Exit with 1 when either half is behind for longer than this, `90s` for example' -r
complete -c trueup -n "__fish_trueup_using_subcommand lag" -l watch -d 'Look again every so often, until interrupted' -r
complete -c trueup -n "__fish_trueup_using_subcommand lag" -l metrics-file -d 'Also write metrics to this file, as OpenMetrics text for a textfile collector; it is replaced in one step' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand lag" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand lag" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand lag" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand lag" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand doctor" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand doctor" -l records -d 'Records that are read of each partition, from its end' -r
complete -c trueup -n "__fish_trueup_using_subcommand doctor" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand doctor" -l full -d 'Read the whole log'
complete -c trueup -n "__fish_trueup_using_subcommand doctor" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand doctor" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -f -a "create" -d 'Fold the log since the last snapshot into a new one'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -f -a "verify" -d 'Compare a snapshot, with the log after it, with the primary, and mark it as known to be good'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -f -a "list" -d 'List the snapshots of a playbook, oldest first'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -f -a "show" -d 'Show a snapshot in full, and check every byte of it; exits with 1 when it is damaged'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -f -a "prune" -d 'Remove old and damaged snapshots; the newest that is known to be good always stays'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and not __fish_seen_subcommand_from create verify list show prune help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l lag-wait -d 'With --verify: how long to wait for the log to have what the primary has' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l verify -d 'Compare it with the primary, and mark it as known to be good'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l full -d 'Fold the whole log, from offset zero, instead of going on from the last snapshot'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l dry-run -d 'Print the plan and stop'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l view -d 'Only this view; may be repeated. A snapshot that is compared in part is not marked' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l lag-wait -d 'How long to wait for the log to have what the primary has' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from show" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l keep -d 'How many of the newest ones stay' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l dry-run -d 'Say what would be removed and stop'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "create" -d 'Fold the log since the last snapshot into a new one'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Compare a snapshot, with the log after it, with the primary, and mark it as known to be good'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the snapshots of a playbook, oldest first'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a snapshot in full, and check every byte of it; exits with 1 when it is damaged'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove old and damaged snapshots; the newest that is known to be good always stays'
complete -c trueup -n "__fish_trueup_using_subcommand snapshot; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and not __fish_seen_subcommand_from gc abort help" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand runs; and not __fish_seen_subcommand_from gc abort help" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and not __fish_seen_subcommand_from gc abort help" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and not __fish_seen_subcommand_from gc abort help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and not __fish_seen_subcommand_from gc abort help" -a "gc" -d 'Drop the old tables that swaps have left, one in a transaction; never what depends on one'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and not __fish_seen_subcommand_from gc abort help" -a "abort" -d 'Remove what a run that died has built, instead of going on with it; a projector that it left paused is resumed'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and not __fish_seen_subcommand_from gc abort help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from gc" -l older-than -d 'Only those that were swapped out so long ago: 0h, 12h or 7d' -r
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from gc" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from gc" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from gc" -l dry-run -d 'Say what would be dropped and stop'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from gc" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from gc" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from gc" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from abort" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from abort" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from abort" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from abort" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from abort" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from help" -f -a "gc" -d 'Drop the old tables that swaps have left, one in a transaction; never what depends on one'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from help" -f -a "abort" -d 'Remove what a run that died has built, instead of going on with it; a projector that it left paused is resumed'
complete -c trueup -n "__fish_trueup_using_subcommand runs; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and not __fish_seen_subcommand_from list retry skip help" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and not __fish_seen_subcommand_from list retry skip help" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and not __fish_seen_subcommand_from list retry skip help" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and not __fish_seen_subcommand_from list retry skip help" -f -a "list" -d 'List the records that were set aside, with the reason of each; as JSON, with the records whole'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and not __fish_seen_subcommand_from list retry skip help" -f -a "retry" -d 'Read the log of their keys again from these records on, as the playbook now says, and repair the rows in place'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and not __fish_seen_subcommand_from list retry skip help" -f -a "skip" -d 'Do without these records: their keys are not blocked any more, and their rows stay as they are'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and not __fish_seen_subcommand_from list retry skip help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l all -d 'Also those that do not matter any more'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l record -d 'Only this record (`topic:partition:offset`); may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l view -d 'Only this view; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l on-bad -d 'What becomes of a record that cannot be applied: it stops the run, or is kept in quarantine and blocks its key' -r -f -a "stop\t'It stops the run'
quarantine\t'It is kept, and its key is blocked: its row comes from the primary, or stays as it was'"
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l dry-run -d 'Print the plan and stop'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from skip" -l record -d 'This record (`topic:partition:offset`); may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from skip" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from skip" -l all -d 'All of them'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from skip" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from skip" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from skip" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from skip" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the records that were set aside, with the reason of each; as JSON, with the records whole'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Read the log of their keys again from these records on, as the playbook now says, and repair the rows in place'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "skip" -d 'Do without these records: their keys are not blocked any more, and their rows stay as they are'
complete -c trueup -n "__fish_trueup_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand undo" -l keys -d 'Only these keys: `7,13`, JSON such as `[[1,"a"]]`, or @FILE with one a line; may be repeated' -r
complete -c trueup -n "__fish_trueup_using_subcommand undo" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand undo" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand undo" -l dry-run -d 'Say what would be written and stop'
complete -c trueup -n "__fish_trueup_using_subcommand undo" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand undo" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand undo" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand undo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -l confirm -d 'Consent by naming the table that is written' -r
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -l rate -d 'Read and write at most so many rows or records a second: `5000`, `5k`, `2m`' -r
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -l pause-file -d 'Stand still while this file exists; not while a projector waits for the swap' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -l stall-after -d 'Say what is waited for when nothing comes forward for so long' -r
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -l format -d 'How the result is written' -r -f -a "table\t'For people'
json\t'For programs: one object a line'"
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -l stale -d 'Bring the tables back as they are; the records that they lack are listed'
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -l dry-run -d 'Print the plan and stop'
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -l yes -d 'Consent without being asked'
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c trueup -n "__fish_trueup_using_subcommand init" -l primary -d 'The system of record. A URL with a password belongs into the variable; \'${NAME}\' names another one' -r
complete -c trueup -n "__fish_trueup_using_subcommand init" -l read-store -d 'The database that holds the read tables, likewise' -r
complete -c trueup -n "__fish_trueup_using_subcommand init" -l brokers -d 'Kafka\'s brokers, to look topics up; without them topics are guessed' -r
complete -c trueup -n "__fish_trueup_using_subcommand init" -l table -d 'A table of the read store; may be repeated. Default: every one that a source can be found for' -r
complete -c trueup -n "__fish_trueup_using_subcommand init" -l out -d 'The file to write; it must not exist. `-` is stdout' -r -F
complete -c trueup -n "__fish_trueup_using_subcommand init" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand init" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand init" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_using_subcommand demo" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand demo" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand demo" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_using_subcommand completions" -s v -l verbose -d 'Say more on stderr; twice for even more'
complete -c trueup -n "__fish_trueup_using_subcommand completions" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c trueup -n "__fish_trueup_using_subcommand completions" -s h -l help -d 'Print help'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "replay" -d 'Rebuild a view from the log'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "reconcile" -d 'Repair read tables from the primary; a dry run unless --apply'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "verify" -d 'Compare read tables with the primary; writes nothing'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "explain" -d 'Say why rows are as they are: what primary, log and read store say of some keys; writes nothing'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "plan" -d 'Put the three strategies side by side for each view, now, and recommend one; writes nothing'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "lag" -d 'Say how far the log is behind the primary, and the projector behind the log; writes nothing'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "doctor" -d 'Look for what will cause the next drift; writes nothing, and exits with 1 when something has to be done'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "snapshot" -d 'Make, check, list and remove snapshots'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "runs" -d 'List what trueup has written into a read store, oldest first'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "quarantine" -d 'Records that could not be applied: list them, read them again, or do without them'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "undo" -d 'Take the repairs of a run back, each only while its row is as the repair left it'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "rollback" -d 'Bring the table that a swap put aside back, caught up with the log since'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "init" -d 'Write a first playbook by looking at both databases and the broker'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "demo" -d 'Build a small system with planted drift, find it, repair it'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c trueup -n "__fish_trueup_using_subcommand help; and not __fish_seen_subcommand_from replay reconcile verify explain plan lag doctor snapshot runs quarantine undo rollback init demo completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from replay" -f -a "big-bang" -d 'Rebuild views from offset zero in shadows, check them against the primary, and swap them in together'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from replay" -f -a "partial" -d 'Apply only what the log has since a snapshot, or since some offsets'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "create" -d 'Fold the log since the last snapshot into a new one'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "verify" -d 'Compare a snapshot, with the log after it, with the primary, and mark it as known to be good'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "list" -d 'List the snapshots of a playbook, oldest first'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "show" -d 'Show a snapshot in full, and check every byte of it; exits with 1 when it is damaged'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "prune" -d 'Remove old and damaged snapshots; the newest that is known to be good always stays'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from runs" -f -a "gc" -d 'Drop the old tables that swaps have left, one in a transaction; never what depends on one'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from runs" -f -a "abort" -d 'Remove what a run that died has built, instead of going on with it; a projector that it left paused is resumed'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "list" -d 'List the records that were set aside, with the reason of each; as JSON, with the records whole'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "retry" -d 'Read the log of their keys again from these records on, as the playbook now says, and repair the rows in place'
complete -c trueup -n "__fish_trueup_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "skip" -d 'Do without these records: their keys are not blocked any more, and their rows stay as they are'
