"""What to do about each event that a process of the lab reports."""

DATABASE = "Start PostgreSQL again, or give it more connections. Nothing is lost meanwhile."
STORE = "Check the artifact store: space, permissions, credentials. Files wait and are stored then."
RUNS_DISK = "Free space in the node's folder of runs; `gpulab disk` shows it."
BUG = "This is a fault of the lab. Read the traceback in the log of {process} on {host}, and report it."
NODE = "See `gpulab nodes show {host}`, and the log of the worker there."
REDIS = "Check that {host} reaches Redis. Notices are sent again within seconds."

ADVICE = {
    "agent.database_away": DATABASE,
    "artifact.bytes_missing": "A file is missing in the artifact store. Restore it from a backup, or inform its user.",
    "attempt.failed": BUG,
    "audit.lost": "A change was made without its audit event; the log of {process} has it. " + DATABASE,
    "backup.failed": "Fix the reason, then run `gpulab backup` again. Older backups are untouched.",
    "erasure.goes_on_later": "Something new named a user who is being erased. The scheduler goes on within seconds.",
    "export.file_missing": "A file of a user's export is missing in the artifact store. Restore it from a backup.",
    "request.deleted_meanwhile": "Nothing to do: something was deleted while a request named it. The user was told.",
    "clock.set": "Check the time server of the database's machine. Leases and faults count from now.",
    "database.away": DATABASE,
    "database.too_old": "Upgrade PostgreSQL to version 18.",
    "database.unreachable": DATABASE,
    "dataset.skipped": "Check the permissions and the file server of the data sets on {host}.",
    "doorbell.failed": REDIS,
    "estimate.database_away": DATABASE,
    "estimate.doorbell_failed": REDIS,
    "estimate.failed": BUG,
    "estimate.lost": "The process that predicts ended. If it ends again, look for the OOM killer in the kernel's log.",
    "gate.refused": "A machine tried to join. If it is yours, do what the message says; else check the firewall.",
    "gpu.of_another_node": "Two workers report one GPU: stop one of them.",
    "gpu.xid": "Look up the Xid in NVIDIA's list, and read the kernel's log of {host}.",
    "gpu_faults.not_written": DATABASE,
    "leftover.failed": BUG,
    "lease.expired": "A worker was silent. " + NODE,
    "lease.left_to_expire": DATABASE,
    "library.failed": "A library reports this. If it happens again, read the log of {process} on {host}.",
    "limits.not_shared": REDIS,
    "migration.waits": "Another process holds a lock: end its long transaction.",
    "node.gpus_changed": "Look for the missing GPU on {host}, or give it up: `gpulab nodes undrain NODE`.",
    "node.set_aside": "See `gpulab nodes`; the fault and its remedy are in the operator's guide.",
    "node.taken": "Two workers use the same name: give one of them another name (`--name`).",
    "notices.lost": DATABASE,
    "notification.broken": BUG,
    "notification.failed": "If it is about mail, check `GPULAB_MAIL_…`. Users see it on their account page.",
    "notification.given_up": "It was not delivered for a day. The message of `notification.failed` says why.",
    "notifications.database_away": DATABASE,
    "plugin.broken": "Repair or uninstall the package that provides it, then restart the processes.",
    "process.died": "Look for the OOM killer in the kernel's log, and read the log of {process} on {host}.",
    "process.ends": "Its supervisor restarts it. If it happens again, fix the reason or report it.",
    "process.refused": "Its settings are wrong; the message says which. Fix them and restart it.",
    "program.bytes_missing": "A program's files are missing in the artifact store. Restore them from a backup.",
    "program.not_stored": STORE,
    "program.not_watched": NODE,
    "request.failed": BUG,
    "restore.failed": "Fix the reason, then restore into an empty folder or database.",
    "retention.doorbell_failed": REDIS,
    "retention.held": "If the clock is right now, nothing is to do; else set it before the day is over.",
    "retention.not_deleted": STORE,
    "retention.stopped": "The next sweep deletes the rest. If this happens again, check the database and the store.",
    "sampler.failed": NODE,
    "samples.not_opened": RUNS_DISK,
    "samples.not_written": RUNS_DISK,
    "shipper.waits": DATABASE,
    "spare.not_made": "Programs start slower. Run `gpulab doctor` on {host}.",
    "store.away": STORE,
    "store.refused": STORE,
    "system.refused": "Raise the limit of open files of the process (`ulimit -n`), or start more API processes.",
    "task.database_away": DATABASE,
    "task.failed": BUG,
    "upload.left_behind": STORE,
    "uploads.left_behind": STORE,
    "verdict.refused_by_the_database": BUG,
    "verdict.waits": DATABASE,
    "warning.not_written": DATABASE,
    "zygote.failed": NODE,
    "zygote.gone": "It is started again. If this happens again, look for the OOM killer in the kernel's log of {host}.",
}


def advice_for(event: str, *, process: str, host: str) -> str:
    """A sentence or two."""
    found = ADVICE.get(event, "Read the log of {process} on {host}.")
    return found.format(process=process, host=host)
