import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const green: MantineColorsTuple = [
  "#e7f7f0",
  "#d0ebdf",
  "#a1d8c0",
  "#6ec49f",
  "#46b384",
  "#2da973",
  "#1b9c66",
  "#0c7d50",
  "#0b6e4f",
  "#035338",
];

/** The library's neutral greys look brown beside the dashboard's cool backgrounds. */
const dark: MantineColorsTuple = [
  "#d3d9de",
  "#b6c0c8",
  "#87929b",
  "#66717a",
  "#414b53",
  "#364047",
  "#272e33",
  "#1b2024",
  "#171b1f",
  "#101315",
];

export const theme = createTheme({
  colors: { green, dark },
  primaryColor: "green",
  primaryShade: { light: 8, dark: 7 },
  autoContrast: true,
  defaultRadius: "md",
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace',
  headings: { fontWeight: "650" },
  cursorType: "pointer",
  focusRing: "auto",
  respectReducedMotion: true,
  components: {
    Tooltip: { defaultProps: { withArrow: true, openDelay: 200, events: { hover: true, focus: true, touch: true } } },
    Modal: { styles: { title: { fontWeight: 650 } } },
    // The space for a scrollbar would stay empty below most tables.
    TableScrollContainer: { defaultProps: { scrollAreaProps: { offsetScrollbars: false } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Dismiss" } } },
    Card: { defaultProps: { withBorder: true, padding: "md" } },
  },
});

/** Dimmed text that is still easy to read, and a background that cards stand out from. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#55606b",
    "--mantine-color-body": "#f8faf9",
    "--mantine-color-placeholder": "#6a7580",
  },
  dark: {
    "--mantine-color-dimmed": "#a3adb6",
    "--mantine-color-body": "#14181b",
    "--mantine-color-placeholder": "#8d98a2",
  },
});

/** Distinguishable with colour blindness (after Okabe and Ito), with enough contrast on each background. */
export const SERIES_COLORS = {
  light: ["#0072b2", "#b84a00", "#007a5a", "#a3417e", "#7a6000", "#56409b", "#2f7f9e", "#8b1a1a"],
  dark: ["#56b4e9", "#f0944d", "#35c79a", "#e79bc8", "#e0c341", "#b3a2f2", "#8fd3ea", "#ff8a80"],
} as const;
