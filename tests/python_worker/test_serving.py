"""The port and the standard services."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from python_worker.client import Reason, connect

from .calling import refused


def test_the_standard_health_service_says_serving(start_worker):
    with grpc.insecure_channel(start_worker().target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", "python_worker.v1.Worker"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("reflection", [True, False])
def test_reflection_is_on_by_setting_only(start_worker, reflection):
    with grpc.insecure_channel(start_worker(reflection=reflection).target) as channel:
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]), timeout=20)
        if not reflection:
            with pytest.raises(grpc.RpcError) as caught:
                next(answers)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            return
        names = {service.name for service in next(answers).list_services_response.service}
    assert "python_worker.v1.Worker" in names


def test_a_port_that_is_taken_is_a_sentence(start_worker):
    taken = start_worker().worker.port
    error = refused(start_worker, port=taken)
    assert error.reason is Reason.CONFIGURATION
    assert f"port {taken} on 127.0.0.1 cannot be had" in str(error)


def test_a_worker_that_is_not_there_is_unavailable_and_worth_another_try():
    with connect("127.0.0.1:1", deadline=5) as client:
        error = refused(client.get_program, "qa")
    assert (error.reason, error.retryable) == (Reason.UNAVAILABLE, True)
