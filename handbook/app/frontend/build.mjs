// Bundles the front end into ../static/vendor with hashed names and writes manifest.json,
// which the server reads to know them. Run by the build hook: node build.mjs
import { build } from "esbuild";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(here, "../static/vendor");

// KaTeX's style sheet lists woff and ttf beside woff2; every browser that runs the rest reads woff2.
const woff2Only = {
  name: "woff2-only",
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /\.(woff|ttf)$/ }, () => ({ path: "data:,", external: true }));
  },
};

const result = await build({
  absWorkingDir: here,
  entryPoints: ["src/app.js", "src/math.js", "src/editor.js", "src/drill.js", "src/plan.js", "src/live.js", "src/training.js", "src/fonts.css", "src/math.css"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  outdir: out,
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file" },
  legalComments: "eof",
  metafile: true,
  write: false,
  plugins: [woff2Only],
});

const manifest = {};
for (const [file, info] of Object.entries(result.metafile.outputs)) {
  if (info.entryPoint) manifest[path.basename(info.entryPoint)] = path.basename(file);
  else if (Object.keys(info.inputs).length === 1) {
    manifest[path.basename(Object.keys(info.inputs)[0])] = path.basename(file);
  }
}

await mkdir(out, { recursive: true });
for (const file of result.outputFiles) {
  const text = file.path.endsWith(".css")
    ? file.text.replace(/,url\((?:"data:,"|data:,)\) format\("(woff|truetype)"\)/g, "")
    : null;
  await writeFile(file.path, text ?? file.contents);
}
const kept = new Set([...result.outputFiles.map((f) => path.basename(f.path)), "manifest.json"]);
for (const name of await readdir(out)) if (!kept.has(name)) await rm(path.join(out, name));
await writeFile(path.join(out, "manifest.json"), JSON.stringify(manifest, null, 1) + "\n");
for (const file of result.outputFiles) console.log(path.basename(file.path), file.contents.length);
