"""MLflow's tables of logged models, the registry, traces and evaluation datasets, of every schema from 2.14 to today.

Which of them a database has is looked up when one is first read, so that opening a store takes no longer.
"""

from __future__ import annotations

from qualia_lab.stores.sql.tables import logged_models, table_with

logged_model_params = table_with("logged_model_params", "model_id param_key param_value")
logged_model_tags = table_with("logged_model_tags", "model_id tag_key tag_value")
logged_model_metrics = table_with(
    "logged_model_metrics",
    "model_id metric_name metric_timestamp_ms metric_step metric_value run_id dataset_name dataset_digest",
)
model_versions = table_with(
    "model_versions",
    "name version creation_time last_updated_time description user_id current_stage source run_id status "
    "status_message workspace",
)
model_version_tags = table_with("model_version_tags", "name version key value workspace")
model_aliases = table_with("registered_model_aliases", "name alias version workspace")

trace_info = table_with(
    "trace_info",
    "request_id experiment_id timestamp_ms execution_time_ms status client_request_id request_preview "
    "response_preview trace_name session_id input_tokens output_tokens total_tokens cache_read_input_tokens "
    "cache_creation_input_tokens cache_creation_input_tokens_above_1hr input_cost output_cost total_cost",
)
trace_tags = table_with("trace_tags", "key value request_id")
trace_metadata = table_with("trace_request_metadata", "key value request_id")
assessments = table_with(
    "assessments",
    "assessment_id trace_id name assessment_type value error created_timestamp last_updated_timestamp source_type "
    "source_id run_id span_id rationale overrides valid assessment_metadata",
)
spans = table_with(
    "spans",
    "trace_id span_id parent_span_id name type status start_time_unix_nano end_time_unix_nano content total_cost "
    "model_name",
)
associations = table_with("entity_associations", "source_type source_id destination_type destination_id")
evaluation_datasets = table_with(
    "evaluation_datasets", "dataset_id name digest schema profile created_time last_update_time workspace"
)
evaluation_records = table_with(
    "evaluation_dataset_records",
    "dataset_record_id dataset_id inputs outputs expectations tags source source_type created_time last_update_time",
)

GENAI_NAMES = tuple(
    table.name
    for table in (
        logged_models,
        logged_model_params,
        logged_model_tags,
        logged_model_metrics,
        model_versions,
        model_version_tags,
        model_aliases,
        trace_info,
        trace_tags,
        trace_metadata,
        assessments,
        spans,
        associations,
        evaluation_datasets,
        evaluation_records,
    )
)
