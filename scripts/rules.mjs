// npm run rules: writes the alert rules as the Prometheus Operator reads them. A unit test fails where they are not the same.
import { writeFileSync } from "node:fs";
import { RULE_MANIFEST, ruleManifest } from "../deploy/prometheus/rule-manifest.ts";

writeFileSync(RULE_MANIFEST, ruleManifest());
