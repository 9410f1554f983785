// A dashboard as Grafana's published types have it, closer where they leave a member open.
import type * as raw from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';
import type * as barGauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as stateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as text from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import type * as timeSeries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// In JSON a member of an enum is its value.
type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Array<Json<Item>>
      : T extends object
        ? { [Name in keyof T]: Json<T[Name]> }
        : T;

// What Prometheus' plugin reads of an annotation besides.
interface PrometheusAnnotation {
  expr: string;
  step: string;
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
  useValueForTime: boolean;
}

// Links of a panel have less than those of a dashboard.
type PanelLink = Pick<raw.DashboardLink, 'title' | 'targetBlank'> & { url: string };

interface Target {
  refId: string;
  datasource: raw.DataSourceRef;
  editorMode: 'code';
}

interface PrometheusTarget extends Target {
  expr: string;
  legendFormat: string;
  range: boolean;
  instant: boolean;
  format: 'table' | 'time_series';
}

interface PostgresTarget extends Target {
  rawQuery: true;
  rawSql: string;
  format: 'table';
}

// Options that are not given have their defaults.
type PanelOf<Type extends string, Options, Custom> = Omit<raw.Panel, 'type' | 'options' | 'fieldConfig' | 'links' | 'targets'> & {
  type: Type;
  options: Partial<Options>;
  links: PanelLink[];
  targets?: Array<PrometheusTarget | PostgresTarget>;
  fieldConfig?: Omit<raw.FieldConfigSource, 'defaults'> & { defaults: Omit<raw.FieldConfig, 'custom'> & { custom?: Custom } };
};

type AnyPanel =
  | raw.RowPanel
  | PanelOf<'bargauge', barGauge.Options, never>
  | PanelOf<'stat', stat.Options, never>
  | PanelOf<'state-timeline', stateTimeline.Options, stateTimeline.FieldConfig>
  | PanelOf<'table', table.Options, never>
  | PanelOf<'text', text.Options, never>
  | PanelOf<'timeseries', timeSeries.Options, timeSeries.FieldConfig>;

export type Board = Json<
  Omit<raw.Dashboard, 'annotations' | 'panels' | 'templating'> & {
    annotations: { list: Array<raw.AnnotationQuery & PrometheusAnnotation> };
    // `definition` is what the list of variables shows of a query.
    templating: { list: Array<raw.VariableModel & { definition?: string }> };
    panels: AnyPanel[];
  }
>;
