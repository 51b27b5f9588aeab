/** The form of an experiment's spec, generated from its schema. */

import Form from "@rjsf/mantine";
import { getDefaultRegistry } from "@rjsf/core";
import { asNumber, type FieldProps, type RJSFSchema, type UiSchema } from "@rjsf/utils";
import { useMemo } from "react";

import type { ExperimentDetail, InvalidField } from "../../api/schema";
import { wholeOf } from "../../api/exact";
import { errorsOf, formSchema, validator } from "./schema";

interface SpecFormProps {
  experiment: ExperimentDetail;
  spec: Record<string, unknown>;
  change: (spec: Record<string, unknown>) => void;
  problems: readonly InvalidField[];
  /** Fields that another part of the page asks for. */
  without?: readonly string[];
}

const { NumberField } = getDefaultRegistry().fields;

/** The library's own field turns every integer into a number, which rounds large ones. */
function ExactNumberField(props: FieldProps) {
  const { schema, registry, onChange } = props as FieldProps<unknown>;
  const { StringField } = registry.fields;
  if (schema.type !== "integer" || StringField === undefined) return NumberField ? <NumberField {...props} /> : null;
  const change: typeof onChange = (typed, ...rest) =>
    onChange(wholeOf(typed) ?? (typeof typed === "string" ? asNumber(typed) : typed), ...rest);
  return <StringField {...(props as FieldProps<unknown>)} onChange={change} />;
}

const FIELDS = { NumberField: ExactNumberField };
const NONE: readonly string[] = [];

/** The library shows the description of every field except choices from a list. */
function lookOf(schema: RJSFSchema): UiSchema {
  const chosen = Object.entries((schema.properties ?? {}) as Record<string, RJSFSchema>).filter(
    ([, field]) => field.enum !== undefined || field.$ref !== undefined,
  );
  return {
    "ui:submitButtonOptions": { norender: true },
    "ui:label": false,
    ...Object.fromEntries(chosen.map(([name, field]) => [name, { "ui:description": field.description }])),
  };
}

export function SpecForm({ experiment, spec, change, problems, without = NONE }: SpecFormProps) {
  const schema = useMemo(() => formSchema(experiment.spec_schema, without), [experiment, without]);
  const look = useMemo(() => lookOf(schema), [schema]);
  const errors = useMemo(() => errorsOf(problems), [problems]);
  return (
    <Form
      key={experiment.slug}
      tagName="div"
      className="spec-form"
      idPrefix={`spec-${without.length}`}
      schema={schema}
      uiSchema={look}
      validator={validator}
      formData={spec}
      extraErrors={errors}
      showErrorList={false}
      noHtml5Validate
      fields={FIELDS}
      onChange={({ formData }) => change((formData ?? {}) as Record<string, unknown>)}
    />
  );
}
