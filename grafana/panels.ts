import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import { type Threshold, ThresholdsConfigBuilder, ThresholdsMode } from "@grafana/grafana-foundation-sdk/dashboard";
import * as heatmap from "@grafana/grafana-foundation-sdk/heatmap";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import * as stat from "@grafana/grafana-foundation-sdk/stat";
import * as timeseries from "@grafana/grafana-foundation-sdk/timeseries";
import { DATASOURCE } from "./variables.ts";

export type Panel = stat.PanelBuilder | timeseries.PanelBuilder | heatmap.PanelBuilder;

/** Grafana's names of units; `short` is a plain number. */
export type Unit = "short" | "s" | "bytes" | "Bps" | "percentunit" | "cps";

/** What every panel says of itself. */
export interface Frame {
  readonly title: string;
  /** What the figure means, and what to do when it is bad. */
  readonly description: string;
  readonly unit: Unit;
  /** In 24ths of the dashboard's width. */
  readonly width: number;
}

/** One query with the name of its lines, where `{{label}}` is a label's value. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

const STAT_HEIGHT = 4;
const GRAPH_HEIGHT = 8;

function target({ expr, legend }: Query, at: number): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(String.fromCharCode("A".charCodeAt(0) + at))
    .expr(expr)
    .legendFormat(legend)
    .range();
}

/** One figure, the latest, over a small graph; `badFrom` is the value from which it is red, `goodFrom` the one below which it is. */
export function figure(
  frame: Frame & { readonly expr: string; readonly badFrom?: number; readonly goodFrom?: number },
): stat.PanelBuilder {
  const thresholds = new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps(frame));
  return new stat.PanelBuilder()
    .title(frame.title)
    .description(frame.description)
    .datasource(DATASOURCE)
    .unit(frame.unit)
    .span(frame.width)
    .height(STAT_HEIGHT)
    .thresholds(thresholds)
    .colorMode(BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.Area)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .withTarget(target({ expr: frame.expr, legend: frame.title }, 0));
}

function steps({ badFrom, goodFrom }: { badFrom?: number; goodFrom?: number }): Threshold[] {
  const first = { value: null, color: goodFrom === undefined ? "green" : "red" };
  if (goodFrom !== undefined) return [first, { value: goodFrom, color: "green" }];
  return badFrom === undefined ? [first] : [first, { value: badFrom, color: "red" }];
}

/** Lines over time, the highest first in the legend. */
export function graph(frame: Frame & { readonly queries: readonly Query[] }): timeseries.PanelBuilder {
  return new timeseries.PanelBuilder()
    .title(frame.title)
    .description(frame.description)
    .datasource(DATASOURCE)
    .unit(frame.unit)
    .span(frame.width)
    .height(GRAPH_HEIGHT)
    .min(0)
    .fillOpacity(10)
    .showPoints(VisibilityMode.Never)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .calcs(["lastNotNull", "max"])
        .sortBy("Max")
        .sortDesc(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(frame.queries.map(target));
}

/** Bars on top of each other, for what should not happen: how often it did. */
export function incidents(frame: Omit<Frame, "unit"> & { readonly queries: readonly Query[] }): Panel {
  return graph({ ...frame, unit: "short" })
    .drawStyle(GraphDrawStyle.Bars)
    .fillOpacity(80)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
}

/** A histogram's buckets over time: how many fell where; `expr` is by `le`. */
export function heatMap(frame: Frame & { readonly expr: string }): Panel {
  return new heatmap.PanelBuilder()
    .title(frame.title)
    .description(frame.description)
    .datasource(DATASOURCE)
    .span(frame.width)
    .height(GRAPH_HEIGHT)
    .calculate(false)
    .cellGap(1)
    .color(new heatmap.HeatmapColorOptionsBuilder().mode(heatmap.HeatmapColorMode.Scheme).scheme("Spectral").steps(64))
    .yAxis(new heatmap.YAxisConfigBuilder().unit(frame.unit))
    .withTarget(target({ expr: frame.expr, legend: "{{le}}" }, 0).format(PromQueryFormat.Heatmap));
}
