// Copies what the pages load, and the licences that go with it, from
// node_modules into dist, where Go embeds it. Nothing is built or changed.
import { copyFileSync, existsSync } from "node:fs";

const files = {
  "htmx.org/dist/htmx.min.js": "htmx.min.js",
  "htmx.org/LICENSE": "htmx.LICENSE.txt",
  "echarts/dist/echarts.common.min.js": "echarts.common.min.js",
  "echarts/LICENSE": "echarts.LICENSE.txt",
  "echarts/NOTICE": "echarts.NOTICE.txt",
};
for (const [from, to] of Object.entries(files)) {
  const path = `node_modules/${from}`;
  if (!existsSync(path)) throw new Error(`${path} is missing: run npm ci first`);
  copyFileSync(path, `dist/${to}`);
}
