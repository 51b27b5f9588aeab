/** The pages of the dashboard, for the menu and the command palette. */

import {
  ClipboardCheck,
  FileCode,
  FlaskConical,
  GitCompareArrows,
  LayoutDashboard,
  ListChecks,
  Plus,
  Server,
  Target,
  Users,
  type LucideIcon,
} from "lucide-react";

export interface Place {
  to:
    | "/"
    | "/assignments"
    | "/jobs"
    | "/submit"
    | "/studies"
    | "/programs"
    | "/compare"
    | "/predictions"
    | "/class"
    | "/nodes";
  label: string;
  icon: LucideIcon;
  /** Pressed after G. */
  key: string;
  staff?: true;
}

export const PLACES: readonly Place[] = [
  { to: "/", label: "Lab", icon: LayoutDashboard, key: "l" },
  { to: "/jobs", label: "Jobs", icon: ListChecks, key: "j" },
  { to: "/submit", label: "Submit", icon: Plus, key: "n" },
  { to: "/programs", label: "Your code", icon: FileCode, key: "y" },
  { to: "/studies", label: "Studies", icon: FlaskConical, key: "s" },
  { to: "/assignments", label: "Assignments", icon: ClipboardCheck, key: "a" },
  { to: "/compare", label: "Compare", icon: GitCompareArrows, key: "c" },
  { to: "/predictions", label: "Predictions", icon: Target, key: "p" },
  { to: "/class", label: "Class", icon: Users, key: "u", staff: true },
  { to: "/nodes", label: "Machines", icon: Server, key: "m", staff: true },
];

export function placesFor(staff: boolean): readonly Place[] {
  return PLACES.filter((place) => !place.staff || staff);
}
