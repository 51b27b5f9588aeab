/** The tabs of pages that have some, as their addresses name them. The first tab of a page needs no name. */

export const JOB_TABS = ["overview", "memory", "output", "files", "program", "history", "spec"] as const;
export type JobTab = (typeof JOB_TABS)[number];
export const STUDY_TABS = ["charts", "questions", "report"] as const;
export type StudyTab = (typeof STUDY_TABS)[number];
export const CLASS_TABS = ["assignments", "grades", "banners", "audit", "courses"] as const;
export type ClassTab = (typeof CLASS_TABS)[number];
/** For admins. */
export const NODES_TABS = ["disk", "errors"] as const;
export type NodesTab = (typeof NODES_TABS)[number];
