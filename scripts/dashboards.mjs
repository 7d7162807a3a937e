// npm run dashboards: writes the dashboard's JSON, which Grafana reads. A unit test fails where it is not the one that the code makes.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardJson } from "../grafana/dashboard.ts";

writeFileSync(join(import.meta.dirname, "../grafana/dashboards/roomcast.generated.json"), dashboardJson());
