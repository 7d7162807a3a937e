// npm run dashboards: writes the dashboards' JSON, which Grafana reads. A unit test fails where it is not what the code makes.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardFiles } from "../grafana/dashboard.ts";

for (const [uid, text] of dashboardFiles()) {
  writeFileSync(join(import.meta.dirname, `../grafana/dashboards/${uid}.generated.json`), text);
}
