/** The form of an experiment's spec, made from its schema. */

import Form from "@rjsf/mantine";
import type { RJSFSchema, UiSchema } from "@rjsf/utils";
import { useMemo } from "react";

import type { ExperimentDetail, InvalidField } from "../../api/schema";
import { errorsOf, formSchema, validator } from "./schema";

interface SpecFormProps {
  experiment: ExperimentDetail;
  spec: Record<string, unknown>;
  change: (spec: Record<string, unknown>) => void;
  problems: readonly InvalidField[];
  /** Fields that are asked for elsewhere. */
  without?: readonly string[];
}

const NONE: readonly string[] = [];

/** The library shows the sentence of every field but of those that are chosen from a list. */
function lookOf(schema: RJSFSchema): UiSchema {
  const chosen = Object.entries((schema.properties ?? {}) as Record<string, RJSFSchema>).filter(([, field]) => field.enum !== undefined || field.$ref !== undefined);
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
      idPrefix="spec"
      schema={schema}
      uiSchema={look}
      validator={validator}
      formData={spec}
      extraErrors={errors}
      showErrorList={false}
      noHtml5Validate
      onChange={({ formData }) => change((formData ?? {}) as Record<string, unknown>)}
    />
  );
}
