import reactHooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(globalIgnores(["dist", "src/api/schema.d.ts", "types.js"]), {
  files: ["src/**/*.{ts,tsx}", "vite.config.ts"],
  extends: [tseslint.configs.strictTypeChecked],
  plugins: { "react-hooks": reactHooks },
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  rules: {
    // The plugin's other rules prepare for React's compiler, which is not used here.
    "react-hooks/rules-of-hooks": "error",
    "react-hooks/exhaustive-deps": "error",
    "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    // The compiler takes every index for a gap (noUncheckedIndexedAccess); "!" stands where none can be.
    "@typescript-eslint/no-non-null-assertion": "off",
    "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
    // A browser may name no language at all; what is chosen then stands in one place.
    "no-restricted-syntax": [
      "error",
      ...[
        "CallExpression[callee.property.name=/^(toLocale(Date|Time)?String|localeCompare)$/]:not([arguments.0.name='LOCALE'])",
        "NewExpression[callee.object.name='Intl']:not([arguments.0.name=/^(LOCALE|PAGE_LANGUAGE)$/])",
      ].map((selector) => ({ selector, message: "Use a formatter of src/format.ts." })),
    ],
    "@typescript-eslint/only-throw-error": [
      "error",
      { allow: [{ from: "package", package: "@tanstack/router-core", name: "Redirect" }] },
    ],
  },
});
