"""Who may do what: one line for every operation of the contract. A route without a line fails the tests."""

from enum import Enum


class Rule(Enum):
    OPEN = "answers who is not signed in"
    EVERYONE = "answers everybody alike"
    OWN = "is about the caller, and shows nothing of others"
    JOB = "is part of a job: not found for who may not read it"
    JOB_CHANGE = "changes a job: not found for strangers, forbidden to mere readers"
    STUDY = "is part of a study, as a job's"
    STUDY_CHANGE = "changes a study, as a job's"
    PROGRAM = "is a program, part of one, or its estimate: not found for who may not read it"
    USER = "is about one user: not found for other students"
    STAFF = "is for instructors and admins"
    ADMIN = "is for admins"


RULES = {
    "get_health": Rule.OPEN,
    "get_readiness": Rule.OPEN,
    "get_metrics": Rule.OPEN,
    "sign_in": Rule.OPEN,
    "get_openid": Rule.OPEN,
    "start_openid": Rule.OPEN,
    "finish_openid": Rule.OPEN,
    "list_experiments": Rule.OWN,
    "get_experiment": Rule.OWN,
    "list_courses": Rule.EVERYONE,
    "ask_estimate": Rule.EVERYONE,
    "get_estimate": Rule.PROGRAM,  # an estimate of an experiment answers everybody
    "get_estimate_accuracy": Rule.EVERYONE,
    "list_nodes": Rule.EVERYONE,
    "list_environments": Rule.EVERYONE,
    "list_gpus": Rule.EVERYONE,
    "get_timeline": Rule.OWN,
    "get_node_history": Rule.EVERYONE,
    "drain_node": Rule.ADMIN,
    "undrain_node": Rule.ADMIN,
    "list_node_events": Rule.EVERYONE,
    "make_node_token": Rule.ADMIN,
    "revoke_node_tokens": Rule.ADMIN,
    "submit_job": Rule.OWN,
    "list_jobs": Rule.OWN,
    "stream_jobs": Rule.OWN,
    "get_job": Rule.JOB,
    "retry_job": Rule.JOB,
    "get_job_queue": Rule.JOB,
    "get_queue": Rule.OWN,
    "list_job_events": Rule.JOB,
    "get_job_metrics": Rule.JOB,
    "get_job_samples": Rule.JOB,
    "get_job_logs": Rule.JOB,
    "list_job_artifacts": Rule.JOB,
    "get_job_artifact": Rule.JOB,
    "stream_job": Rule.JOB,
    "cancel_job": Rule.JOB_CHANGE,
    "change_job": Rule.JOB_CHANGE,
    "share_job": Rule.JOB_CHANGE,
    "upload_program": Rule.OWN,
    "list_programs": Rule.OWN,
    "get_program": Rule.PROGRAM,
    "get_program_archive": Rule.PROGRAM,
    "get_program_file": Rule.PROGRAM,
    "compare_programs": Rule.PROGRAM,
    "submit_study": Rule.OWN,
    "list_studies": Rule.OWN,
    "get_study": Rule.STUDY,
    "get_study_report": Rule.STUDY,
    "cancel_study": Rule.STUDY_CHANGE,
    "retry_study": Rule.STUDY_CHANGE,
    "add_study_seeds": Rule.STUDY_CHANGE,
    "share_study": Rule.STUDY_CHANGE,
    "get_me": Rule.OWN,
    "list_tokens": Rule.OWN,
    "create_token": Rule.OWN,
    "revoke_token": Rule.OWN,
    "sign_out": Rule.OWN,
    "create_user": Rule.STAFF,
    "list_users": Rule.STAFF,
    "get_user": Rule.USER,
    "change_user": Rule.STAFF,
    "disable_user": Rule.STAFF,
    "enable_user": Rule.STAFF,
    "get_roster": Rule.STAFF,
    "import_roster": Rule.STAFF,
    "list_assignments": Rule.OWN,
    "get_assignment": Rule.OWN,
    "get_assignment_work": Rule.OWN,
    "create_assignment": Rule.STAFF,
    "change_assignment": Rule.STAFF,
    "list_extensions": Rule.STAFF,
    "extend_assignment": Rule.STAFF,
    "end_extension": Rule.STAFF,
    "list_lab_hours": Rule.OWN,
    "get_lab_hours": Rule.OWN,
    "create_lab_hours": Rule.STAFF,
    "change_lab_hours": Rule.STAFF,
    "cancel_lab_hours": Rule.STAFF,
    "get_assignment_overview": Rule.STAFF,
    "pin_submission": Rule.OWN,
    "get_submission": Rule.OWN,
    "list_submissions": Rule.STAFF,
    "rerun_submission": Rule.STAFF,
    "compare_submission": Rule.STAFF,
    "check_submission": Rule.STAFF,
    "get_grades": Rule.STAFF,
    "list_audit_events": Rule.STAFF,
    "get_disk": Rule.OWN,
    "list_lab_errors": Rule.ADMIN,
}
