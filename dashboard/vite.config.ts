import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const MIN_BYTES = 1024;

/** Writes `x.br` and `x.gz` beside each file of text, so that the server compresses nothing while people wait. */
function precompressed(): Plugin {
  return {
    name: "precompressed",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const [name, file] of Object.entries(bundle)) {
          const source = Buffer.from(file.type === "chunk" ? file.code : file.source);
          if (!/\.(js|css|svg)$/.test(name) || source.length < MIN_BYTES) continue;
          const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
          this.emitFile({ type: "asset", fileName: `${name}.br`, source: brotliCompressSync(source, quality) });
          this.emitFile({ type: "asset", fileName: `${name}.gz`, source: gzipSync(source, { level: 9 }) });
        }
      },
    },
  };
}

const lab = process.env["GPULAB_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  // Relative: the lab may be below a path, which it writes into the page as it serves it.
  base: "./",
  plugins: [react(), precompressed()],
  // Inlined files would be `data:` addresses; the policy of the pages is simpler without.
  build: { target: "es2022", assetsInlineLimit: 0, reportCompressedSize: false, chunkSizeWarningLimit: 900 },
  // The form library names it in its own tests alone; it would need code made at run time.
  resolve: { alias: { "@rjsf/validator-ajv8": fileURLToPath(new URL("./src/nothing.ts", import.meta.url)) } },
  worker: { format: "es" },
  server: { host: "127.0.0.1", port: 5173, proxy: { "/v1": lab } },
});
